import { concatBytes, fromHex } from './bytes.ts';
import type { RsaPublicKey } from './engine.ts';

const x25519Pkcs8Prefix = fromHex('302e020100300506032b656e04220420');
/** SubjectPublicKeyInfo of an X25519 key up to its 32 bytes (RFC 8410 §4). */
export const x25519SpkiPrefix = fromHex('302a300506032b656e032100');
/** SubjectPublicKeyInfo of an uncompressed P-256 point up to x ‖ y (RFC 5480 §2). */
export const p256SpkiPrefix = fromHex('3059301306072a8648ce3d020106082a8648ce3d03010703420004');

/** As {@link p256SpkiPrefix} for P-384. */
export const p384SpkiPrefix = fromHex('3076301006072a8648ce3d020106052b8104002203620004');
/** AlgorithmIdentifier of RSA keys (RFC 3279 §2.3.1). */
const rsaAlgorithm = fromHex('300d06092a864886f70d0101010500');

/** PKCS #8 form of a raw X25519 secret key (RFC 8410 §7). */
export function x25519Pkcs8(secretKey: Uint8Array): Uint8Array {
  return concatBytes(x25519Pkcs8Prefix, secretKey);
}

/** A copy of the 32 bytes of key at the end of an X25519 PKCS #8 or SubjectPublicKeyInfo. */
export function lastKeyBytes(der: Uint8Array): Uint8Array {
  return Uint8Array.prototype.slice.call(der, der.length - 32);
}

/** The DER form of an ECDSA signature r ‖ s of 64 or 96 bytes (RFC 3279 §2.2.3). */
export function ecdsaSignatureDer(signature: Uint8Array): Uint8Array {
  const half = signature.length / 2;
  const r = derInteger(signature.subarray(0, half));
  const s = derInteger(signature.subarray(half));
  return concatBytes(Uint8Array.of(0x30, r.length + s.length), r, s);
}

/**
 * SubjectPublicKeyInfo of an RSA key (RFC 3279 §2.3.1), undefined for one that no engine should compute with: modulus of 2048
 * to 4096 bits and odd, exponent odd and of 3 to 2^32, both without leading zero bytes.
 */
export function rsaSpki({ modulus, exponent }: RsaPublicKey): Uint8Array | undefined {
  const isOdd = (bytes: Uint8Array) => ((bytes[bytes.length - 1] ?? 0) & 1) === 1;
  if (modulus.length < 256 || modulus.length > 512 || (modulus[0] ?? 0) < 1 || !isOdd(modulus)) return undefined;
  if (exponent.length < 1 || exponent.length > 4 || (exponent[0] ?? 0) < 1 || !isOdd(exponent)) return undefined;
  if (exponent.length === 1 && exponent[0] === 1) return undefined;
  const key = der(0x30, derUnsigned(modulus), derUnsigned(exponent));
  return der(0x30, rsaAlgorithm, der(0x03, Uint8Array.of(0), key));
}

/** As {@link derInteger} for numbers of any length. */
function derUnsigned(bytes: Uint8Array): Uint8Array {
  return der(0x02, (bytes[0] ?? 0) >= 0x80 ? Uint8Array.of(0) : new Uint8Array(0), bytes);
}

function der(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  const body = concatBytes(...contents);
  const { length } = body;
  if (length < 0x80) return concatBytes(Uint8Array.of(tag, length), body);
  if (length < 0x100) return concatBytes(Uint8Array.of(tag, 0x81, length), body);
  return concatBytes(Uint8Array.of(tag, 0x82, length >> 8, length & 0xff), body);
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
