import { concatBytes, hkdfExpand, hkdfExtract, SecretBytes, utf8 } from '@cloister/crypto';

const salt = utf8('cloister/app-key: v1');

/**
 * A key of 32 bytes from an identity's signature: HKDF-SHA256 with the salt "cloister/app-key: v1" and as info each part with
 * its length before it (two bytes, big-endian). Keys of different parts say nothing of each other.
 * @param parts what the key is for: a purpose first, then a container's or function's name and the like
 */
export async function deriveFromSignature(signature: SecretBytes, ...parts: readonly string[]): Promise<SecretBytes> {
  const info = parts.map((part) => {
    const text = utf8(part);
    return concatBytes(Uint8Array.of(text.length >> 8, text.length & 0xff), text);
  });
  const extracted = await hkdfExtract(salt, signature.reveal());
  const key = await hkdfExpand(extracted, concatBytes(...info), 32);
  extracted.fill(0);
  return new SecretBytes(key);
}
