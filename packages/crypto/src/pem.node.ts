import { createPublicKey, type KeyObject } from 'node:crypto';
import { p256SpkiPrefix, p384SpkiPrefix, x25519SpkiPrefix } from './der.ts';

// A PEM string is the fast way into OpenSSL: given an object, Node first finds out by thrown and caught errors that it is
// no KeyObject and no CryptoKey, which takes longer than reading the key. The prefixes are multiples of three bytes, so
// their base64 stands by itself.
const x25519Head = `-----BEGIN PUBLIC KEY-----\n${Buffer.from(x25519SpkiPrefix).toString('base64')}`;
const p256Head = `-----BEGIN PUBLIC KEY-----\n${Buffer.from(p256SpkiPrefix).toString('base64')}`;
const p384Head = `-----BEGIN PUBLIC KEY-----\n${Buffer.from(p384SpkiPrefix).toString('base64')}`;
const foot = '\n-----END PUBLIC KEY-----\n';

/** Parses a raw X25519 public key of 32 bytes. */
export function x25519PublicKeyObject(publicKey: Uint8Array): KeyObject {
  return createPublicKey(`${x25519Head}${base64(publicKey)}${foot}`);
}

/** Parses a P-256 point x ‖ y of 64 bytes. Throws where it is not on the curve. */
export function p256PublicKeyObject(publicKey: Uint8Array): KeyObject {
  return createPublicKey(`${p256Head}${base64(publicKey)}${foot}`);
}

/** Parses a P-384 point x ‖ y of 96 bytes. Throws where it is not on the curve. */
export function p384PublicKeyObject(publicKey: Uint8Array): KeyObject {
  return createPublicKey(`${p384Head}${base64(publicKey)}${foot}`);
}

/** Parses a whole SubjectPublicKeyInfo in DER. */
export function spkiKeyObject(spki: Uint8Array): KeyObject {
  return createPublicKey(`-----BEGIN PUBLIC KEY-----\n${base64(spki)}${foot}`);
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}
