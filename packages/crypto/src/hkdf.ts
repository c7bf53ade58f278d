import { engine } from '#engine';
import { CryptoError } from './errors.ts';

const hashLength = 32;

/** HKDF-Extract with SHA-256 (RFC 5869 §2.2): a pseudorandom key of 32 bytes. */
export async function hkdfExtract(salt: Uint8Array, inputKey: Uint8Array): Promise<Uint8Array> {
  return await engine.hmacSha256(salt, inputKey);
}

/** HKDF-Expand with SHA-256 (RFC 5869 §2.3): `length` bytes, at most 8,160. */
export async function hkdfExpand(key: Uint8Array, info: Uint8Array, length: number): Promise<Uint8Array> {
  if (!Number.isInteger(length) || length < 1 || length > 255 * hashLength)
    throw new CryptoError({
      code: 'INVALID_LENGTH',
      message: `Expected 1 to ${255 * hashLength} bytes of output, got "${length}"`,
    });
  const output = new Uint8Array(length);
  let block: Uint8Array = new Uint8Array(0);
  for (let counter = 1, at = 0; at < length; counter++, at += hashLength) {
    block = await engine.hmacSha256(key, block, info, Uint8Array.of(counter));
    output.set(block.subarray(0, Math.min(hashLength, length - at)), at);
  }
  return output;
}
