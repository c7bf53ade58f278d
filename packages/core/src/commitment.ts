import { keccak256, toHex } from '@cloister/crypto';
import { abiEncodeWords } from './abi.ts';
import type { Bytes32 } from './hex.ts';

/** Commitment to a body: keccak256(abi.encode(salt, keccak256(body))). Only who shares the salt can open it. */
export function commitBody(salt: Bytes32, body: Uint8Array): Bytes32 {
  return commitBodyHash(salt, toHex(keccak256(body)));
}

/** The same from the body's hash, for bodies that were hashed while they streamed. */
export function commitBodyHash(salt: Bytes32, bodyHash: Bytes32): Bytes32 {
  return toHex(keccak256(abiEncodeWords(salt, bodyHash)));
}
