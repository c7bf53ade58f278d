import { concatBytes, fromHex } from './bytes.ts';

const x25519Pkcs8Prefix = fromHex('302e020100300506032b656e04220420');
/** SubjectPublicKeyInfo of an X25519 key up to its 32 bytes (RFC 8410 §4). */
export const x25519SpkiPrefix = fromHex('302a300506032b656e032100');
/** SubjectPublicKeyInfo of an uncompressed P-256 point up to x ‖ y (RFC 5480 §2). */
export const p256SpkiPrefix = fromHex('3059301306072a8648ce3d020106082a8648ce3d03010703420004');

/** PKCS #8 form of a raw X25519 secret key (RFC 8410 §7). */
export function x25519Pkcs8(secretKey: Uint8Array): Uint8Array {
  return concatBytes(x25519Pkcs8Prefix, secretKey);
}

/** A copy of the 32 bytes of key at the end of an X25519 PKCS #8 or SubjectPublicKeyInfo. */
export function lastKeyBytes(der: Uint8Array): Uint8Array {
  return Uint8Array.prototype.slice.call(der, der.length - 32);
}

/** The DER form of an ECDSA signature r ‖ s of 64 bytes (RFC 3279 §2.2.3). */
export function ecdsaSignatureDer(signature: Uint8Array): Uint8Array {
  const r = derInteger(signature.subarray(0, 32));
  const s = derInteger(signature.subarray(32, 64));
  return concatBytes(Uint8Array.of(0x30, r.length + s.length), r, s);
}

/** An unsigned integer in its shortest form, with a zero in front where it would read as negative. */
function derInteger(bytes: Uint8Array): Uint8Array {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start++;
  const sign = (bytes[start] as number) >= 0x80 ? 1 : 0;
  const der = new Uint8Array(2 + sign + bytes.length - start);
  der[0] = 0x02;
  der[1] = der.length - 2;
  der.set(bytes.subarray(start), 2 + sign);
  return der;
}
