import type { Bytes32, StateHead } from '@cloister/core';
import { zeroBytes32 } from '@cloister/core';
import type { SecretBytes } from '@cloister/crypto';
import { maxEntriesToRead, maxEntryBytes, maxPartitionBytes, maxPartitionKeys } from '../limits.ts';
import { StateError } from '../stateError.ts';
import { decodeChanges } from './changes.ts';
import { openEntry, readEntryHeader } from './entry.ts';
import { readBlob, type StateBlobs } from './stateBlobs.ts';

/** A partition as its log says, and how much of the log stands after the last snapshot. */
export type ReadLog = {
  readonly values: Map<string, Uint8Array>;
  readonly entriesSinceSnapshot: number;
  readonly bytesSinceSnapshot: number;
  /** The lowest version of the app's key under which any of what was read is sealed; undefined where there is nothing. */
  readonly oldestKeyVersion: number | undefined;
};

export type ReadLogComponents = {
  readonly blobs: StateBlobs;
  /** The partition's key of a key version, 32 bytes; not wiped here. */
  readonly keyOf: (keyVersion: number, signal: AbortSignal) => Promise<SecretBytes>;
};

/**
 * Reads a log from its head back to the last snapshot and plays it. Throws STATE_BLOB_MISSING, and STATE_LOG_INVALID where an entry is not
 * the one that its place asks for.
 */
export async function readLog(
  { blobs, keyOf }: ReadLogComponents,
  head: StateHead,
  signal: AbortSignal,
): Promise<ReadLog> {
  const newestFirst: { readonly bytes: Uint8Array; readonly keyVersion: number }[] = [];
  let { root, version, fence } = head;
  let snapshot = false;
  while (version > 0n && !snapshot) {
    if (newestFirst.length >= maxEntriesToRead)
      throw new StateError('STATE_LOG_INVALID', `The log has no snapshot in its last "${maxEntriesToRead}" entries`);
    const bytes = await readBlob(blobs, root, maxEntryBytes, signal);
    const header = readEntryHeader(bytes);
    const isPlaced =
      header.app === head.app &&
      header.partition === head.partition &&
      header.version === version &&
      header.fence <= fence &&
      (version === 1n) === (header.previous === zeroBytes32);
    if (!isPlaced) throw new StateError('STATE_LOG_INVALID', `The entry "${root}" is not version "${version}"`);
    newestFirst.push({ bytes, keyVersion: header.keyVersion });
    snapshot = header.kind === 'snapshot';
    ({ previous: root, fence } = header);
    version -= 1n;
  }
  assertEnds(root, version, snapshot);
  const values = new Map<string, Uint8Array>();
  let bytesSinceSnapshot = 0;
  for (const [at, { bytes, keyVersion }] of newestFirst.reverse().entries()) {
    const plaintext = await openEntry(await keyOf(keyVersion, signal), bytes);
    for (const [key, value] of decodeChanges(plaintext)) {
      if (value === undefined) values.delete(key);
      else values.set(key, value);
    }
    plaintext.fill(0);
    if (!(snapshot && at === 0)) bytesSinceSnapshot += bytes.length;
  }
  if (values.size > maxPartitionKeys || sizeOf(values) > maxPartitionBytes)
    throw new StateError('STATE_LOG_INVALID', 'The log holds more than a partition may');
  const keyVersions = newestFirst.map(({ keyVersion }) => keyVersion);
  return {
    values,
    entriesSinceSnapshot: newestFirst.length - (snapshot ? 1 : 0),
    bytesSinceSnapshot,
    oldestKeyVersion: keyVersions.length === 0 ? undefined : Math.min(...keyVersions),
  };
}

/** Bytes of all keys and values: of a key as many as its UTF-8 has. */
export function sizeOf(values: Iterable<readonly [string, Uint8Array | undefined]>): number {
  let size = 0;
  for (const [key, value] of values) size += keyBytes(key) + (value?.length ?? 0);
  return size;
}

/** Bytes of a text in UTF-8, without making them. */
export function keyBytes(key: string): number {
  let size = 0;
  for (const character of key) {
    const code = character.codePointAt(0) as number;
    size += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  }
  return size;
}

function assertEnds(root: Bytes32, version: bigint, snapshot: boolean): void {
  if (!snapshot && (version !== 0n || root !== zeroBytes32))
    throw new StateError('STATE_LOG_INVALID', 'The log does not begin at its first version');
}
