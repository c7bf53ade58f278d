import { concatBytes, engine, utf8 } from '@cloister/crypto';

/** Bytes of the random nonce at the front of every response. */
export const responseNonceLength = 32;
const keyInfo = concatBytes(utf8('key'), Uint8Array.of(1));
const nonceInfo = concatBytes(utf8('nonce'), Uint8Array.of(1));

export type ChunkKeys = {
  readonly key: Uint8Array;
  readonly nonce: Uint8Array;
};

/**
 * Key and base nonce of one direction, as in RFC 9458 §4.4: HKDF over the direction's exported secret, salted with
 * enc ‖ the response's nonce; with enc alone for a request's chunks, of which there is one row to an enc.
 */
export async function deriveChunkKeys(
  secret: Uint8Array,
  encapsulatedKey: Uint8Array,
  responseNonce: Uint8Array,
): Promise<ChunkKeys> {
  const prk = await engine.hmacSha256(concatBytes(encapsulatedKey, responseNonce), secret);
  return {
    key: await engine.hmacSha256(prk, keyInfo),
    nonce: (await engine.hmacSha256(prk, nonceInfo)).subarray(0, 12),
  };
}

/** The nonce of chunk `counter`: the base nonce XOR the counter (RFC 9180 §5.2). */
export function chunkNonce(base: Uint8Array, counter: number): Uint8Array {
  const nonce = base.slice();
  for (let i = 11, rest = counter; rest > 0; i--, rest = Math.floor(rest / 256))
    nonce[i] = (nonce[i] as number) ^ (rest % 256);
  return nonce;
}
