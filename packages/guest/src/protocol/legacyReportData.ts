import { createHash } from 'node:crypto';
import { concatBytes, keccak256, utf8 } from '@cloister/crypto';
import { GuestError } from '../guestError.ts';

type Hash = (bytes: Uint8Array) => Uint8Array;
const native =
  (name: string): Hash =>
  (bytes) =>
    Uint8Array.from(createHash(name).update(bytes).digest());

/** Hashes by dstack's names; '' is its default. Keccak of 384 and 512 bits, which nobody else uses, is left out. */
const hashes: ReadonlyMap<string, Hash> = new Map<string, Hash>([
  ['', native('sha512')],
  ...['sha256', 'sha384', 'sha512', 'sha3-256', 'sha3-384', 'sha3-512'].map((name) => [name, native(name)] as const),
  ['keccak256', keccak256],
]);

/**
 * What dstack before 0.5 quotes over data of any length: H("app-data:" ‖ data), or for "raw" the data itself, at most 64 bytes. Throws
 * GUEST_ALGORITHM_UNKNOWN.
 */
export function legacyReportData(data: Uint8Array, hash: string): Uint8Array {
  if (hash === 'raw') return data;
  const known = hashes.get(hash);
  if (known !== undefined) return known(concatBytes(utf8('app-data:'), data));
  throw new GuestError(
    'GUEST_ALGORITHM_UNKNOWN',
    `Data is hashed by "${[...hashes.keys()].filter(Boolean).join('", "')}", got "${hash.slice(0, 80)}"`,
  );
}
