import { SecretBytes, toHex, utf8 } from '@cloister/crypto';
import { b32 } from '../../packages/core/test/helpers.ts';
import { encodeChanges } from '../../packages/state/src/log/changes.ts';
// An entry's form is no one's business but the store's, and frozen all the same: it lies in stores for as long as an app lives.
import { type EntryHeader, sealEntry } from '../../packages/state/src/log/entry.ts';

const header: EntryHeader = {
  kind: 'changes',
  app: b32(0x51),
  partition: 7,
  keyVersion: 3,
  version: 41n,
  fence: 5n,
  previous: b32(0x56),
};

/** An entry of an app's log, over fixed inputs. */
export async function stateVectors(): Promise<object> {
  const plaintext = encodeChanges([
    ['gone', undefined],
    ['name', utf8('Ada')],
  ]);
  const { root, bytes } = await sealEntry(new SecretBytes(new Uint8Array(32).fill(0x77)), header, plaintext);
  return {
    comment: 'An app’s state: an entry of its log, version 1. Integers beyond 2^53 as decimal strings.',
    entry: { partitionKey: b32(0x77), header, plaintext: toHex(plaintext), sealed: toHex(bytes), root },
  };
}
