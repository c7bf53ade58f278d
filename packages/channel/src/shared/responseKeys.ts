import { concatBytes, engine, utf8 } from '@cloister/crypto';

/** Bytes of the random nonce at the front of every response. */
export const responseNonceLength = 32;
const keyInfo = concatBytes(utf8('key'), Uint8Array.of(1));
const nonceInfo = concatBytes(utf8('nonce'), Uint8Array.of(1));

export type ResponseKeys = {
  readonly key: Uint8Array;
  readonly nonce: Uint8Array;
};

/** The response's key and base nonce, as in RFC 9458 §4.4: HKDF over the exported secret, salted with enc ‖ response nonce. */
export async function deriveResponseKeys(
  responseSecret: Uint8Array,
  encapsulatedKey: Uint8Array,
  responseNonce: Uint8Array,
): Promise<ResponseKeys> {
  const prk = await engine.hmacSha256(concatBytes(encapsulatedKey, responseNonce), responseSecret);
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
