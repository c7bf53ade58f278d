import type { Bytes32, StatePartition } from '@cloister/core';
import { concatBytes, engine, fromHex, hkdfExpand, type SecretBytes, sha256, toHex, utf8 } from '@cloister/crypto';
import { maxEntryBytes } from '../limits.ts';
import { StateError } from '../stateError.ts';

/** What stands at the beginning of an entry, in the open and authenticated. */
export type EntryHeader = StatePartition & {
  /** Whether it holds everything, or what it changes. */
  readonly kind: 'changes' | 'snapshot';
  readonly keyVersion: number;
  readonly version: bigint;
  /** The fence of the writer that made it. */
  readonly fence: bigint;
  /** Address of the entry before it; zero for the first. */
  readonly previous: Bytes32;
};

/** An entry as it is stored: under the sha256 of its bytes, which is the log's root once it is the newest. */
export type SealedEntry = { readonly root: Bytes32; readonly bytes: Uint8Array };

const magic = utf8('CSL1');
const kinds = ['changes', 'snapshot'] as const;
const headerLength = 4 + 1 + 4 + 32 + 4 + 8 + 8 + 32;
const saltLength = 32;
const tagLength = 16;
const nonce = new Uint8Array(12);
const saltInfo = utf8('cloister/state-salt: v1');
const keyInfo = utf8('cloister/state-entry: v1');

/**
 * Seals an entry: header ‖ salt ‖ AES-256-GCM of the plaintext, with header and salt as associated data. The salt is an HMAC over header and
 * plaintext, and the key an HMAC over header and salt, under keys that HKDF-SHA256 expands from the partition's: so each
 * (fence, version) has its own key, and where a copied worker makes two entries of one, each of these has.
 * @param partitionKey 32 bytes, of the header's key version
 */
export async function sealEntry(
  partitionKey: SecretBytes,
  header: EntryHeader,
  plaintext: Uint8Array,
): Promise<SealedEntry> {
  const head = encodeHeader(header);
  const salt = await hmacUnder(partitionKey, saltInfo, head, plaintext);
  const key = await hmacUnder(partitionKey, keyInfo, head, salt);
  const sealed = await engine.aes256GcmSeal(key, nonce, concatBytes(head, salt), plaintext);
  key.fill(0);
  const bytes = concatBytes(head, salt, sealed);
  return { root: toHex(sha256(bytes)), bytes };
}

/** What an entry says of itself, before it is opened. Throws STATE_LOG_INVALID. */
export function readEntryHeader(bytes: Uint8Array): EntryHeader {
  if (bytes.length < headerLength + saltLength + tagLength || bytes.length > maxEntryBytes)
    throw invalid(`it has ${bytes.length} bytes`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, headerLength);
  const kind = kinds[view.getUint8(4)];
  if (magic.some((byte, at) => bytes[at] !== byte) || kind === undefined) throw invalid('it has another form');
  return {
    kind,
    keyVersion: view.getUint32(5),
    app: toHex(bytes.subarray(9, 41)),
    partition: view.getUint32(41),
    version: view.getBigUint64(45),
    fence: view.getBigUint64(53),
    previous: toHex(bytes.subarray(61, 93)),
  };
}

/** An entry's plaintext. Throws STATE_LOG_INVALID for what was not sealed under this key. */
export async function openEntry(partitionKey: SecretBytes, bytes: Uint8Array): Promise<Uint8Array> {
  const head = bytes.subarray(0, headerLength);
  const salt = bytes.subarray(headerLength, headerLength + saltLength);
  const key = await hmacUnder(partitionKey, keyInfo, head, salt);
  try {
    return await engine.aes256GcmOpen(key, nonce, concatBytes(head, salt), bytes.subarray(headerLength + saltLength));
  } catch (cause) {
    throw new StateError('STATE_LOG_INVALID', 'An entry does not open under the key of its version', { cause });
  } finally {
    key.fill(0);
  }
}

function encodeHeader({ kind, keyVersion, app, partition, version, fence, previous }: EntryHeader): Uint8Array {
  const bytes = new Uint8Array(headerLength);
  const view = new DataView(bytes.buffer);
  bytes.set(magic);
  view.setUint8(4, kinds.indexOf(kind));
  view.setUint32(5, keyVersion);
  bytes.set(fromHex(app), 9);
  view.setUint32(41, partition);
  view.setBigUint64(45, version);
  view.setBigUint64(53, fence);
  bytes.set(fromHex(previous), 61);
  return bytes;
}

async function hmacUnder(
  partitionKey: SecretBytes,
  info: Uint8Array,
  ...parts: readonly Uint8Array[]
): Promise<Uint8Array> {
  const key = await hkdfExpand(partitionKey.reveal(), info, 32);
  try {
    return await engine.hmacSha256(key, ...parts);
  } finally {
    key.fill(0);
  }
}

function invalid(why: string): StateError {
  return new StateError('STATE_LOG_INVALID', `An entry of the log can not be read: ${why}`);
}
