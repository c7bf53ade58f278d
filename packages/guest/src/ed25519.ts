import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { concatBytes, fromHex, type SecretBytes } from '@cloister/crypto';

/** PKCS #8 and SubjectPublicKeyInfo of Ed25519 keys up to their 32 bytes (RFC 8410 §4, §7). */
const pkcs8Prefix = fromHex('302e020100300506032b657004220420');
const spkiPrefix = fromHex('302a300506032b6570032100');

/** 32 bytes. */
export function ed25519PublicKey(seed: SecretBytes): Uint8Array {
  const spki = createPublicKey(privateKey(seed)).export({ format: 'der', type: 'spki' });
  return Uint8Array.from(spki.subarray(spki.length - 32));
}

/** 64 bytes (RFC 8032 §5.1.6). */
export function ed25519Sign(seed: SecretBytes, message: Uint8Array): Uint8Array {
  return Uint8Array.from(sign(null, message, privateKey(seed)));
}

/** False as well for what is no key or no signature. */
export function ed25519Verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== 32 || signature.length !== 64) return false;
  try {
    const key = createPublicKey({ key: Buffer.concat([spkiPrefix, publicKey]), format: 'der', type: 'spki' });
    return verify(null, message, key, signature);
  } catch {
    return false;
  }
}

function privateKey(seed: SecretBytes): KeyObject {
  const der = concatBytes(pkcs8Prefix, seed.reveal());
  try {
    return createPrivateKey({ key: Buffer.from(der.buffer), format: 'der', type: 'pkcs8' });
  } finally {
    der.fill(0);
  }
}
