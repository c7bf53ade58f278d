import { createECDH, createPrivateKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import type { SecretBytes } from '@cloister/crypto';

/** A P-256 key: the key itself, and its SubjectPublicKeyInfo in DER. */
export type P256Key = { readonly privateKey: KeyObject; readonly spki: Uint8Array };

/** Whether 32 bytes are a P-256 secret key: more than 0, below the curve order. */
export function isP256Scalar(bytes: Uint8Array): boolean {
  try {
    createECDH('prime256v1').setPrivateKey(bytes);
    return true;
  } catch {
    return false;
  }
}

export function generateP256(): P256Key {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  return { privateKey, spki: Uint8Array.from(publicKey.export({ format: 'der', type: 'spki' })) };
}

export function p256Of(secret: SecretBytes): P256Key {
  const ecdh = createECDH('prime256v1');
  ecdh.setPrivateKey(secret.reveal());
  const point = ecdh.getPublicKey();
  const part = (from: number) => point.subarray(from, from + 32).toString('base64url');
  const jwk = {
    kty: 'EC',
    crv: 'P-256',
    x: part(1),
    y: part(33),
    d: Buffer.from(secret.reveal()).toString('base64url'),
  };
  const privateKey = createPrivateKey({ key: jwk, format: 'jwk' });
  return { privateKey, spki: Uint8Array.from(Buffer.concat([spkiPrefix, point])) };
}

/** PKCS #8. */
export function privateKeyPem({ privateKey }: P256Key): string {
  return privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
}

/** ECDSA with SHA-256, in DER (RFC 3279 §2.2.3). */
export function signP256Der({ privateKey }: P256Key, message: Uint8Array): Uint8Array {
  return Uint8Array.from(sign('sha256', message, privateKey));
}

/** SubjectPublicKeyInfo up to the uncompressed point (RFC 5480 §2). */
const spkiPrefix = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d030107034200', 'hex');
