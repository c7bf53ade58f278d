import {
  constants,
  createCipheriv,
  createDecipheriv,
  createHmac,
  createPublicKey,
  createSecretKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
  type SigningOptions,
  verify,
} from 'node:crypto';
import { concatBytes } from './bytes.ts';
import { ecdsaSignatureDer, rsaSpki } from './der.ts';
import { type Engine, gcmTagLength, type RsaPublicKey, type X25519KeyPair } from './engine.ts';
import { assertLength, CryptoError } from './errors.ts';
import { p256PublicKeyObject, p384PublicKeyObject, spkiKeyObject, x25519PublicKeyObject } from './pem.node.ts';
import { SecretBytes } from './secretBytes.ts';
import { asUint8Array, hasOneShotHash, sha256, sha256Into } from './sha2.node.ts';
import { x25519Export, x25519SecretKeyObject } from './x25519Keys.node.ts';

const hmacBlockLength = 64;
/** Scratch space of HMAC: calls are synchronous, so never two at once. */
const hmacScratch = new Uint8Array(512);
const hmacOuter = new Uint8Array(hmacBlockLength + 32);
const maxCachedKeys = 64;

/** Secret keys as OpenSSL has parsed them: the parse costs more than the agreement. Gone with the secret itself. */
const parsedSecrets = new WeakMap<SecretBytes, KeyObject>();
/** Public keys, least recently used first: chains of certificates meet the same few issuers again and again. */
const parsedKeys = new Map<string, KeyObject>();

/** Primitives by node:crypto, all synchronous: a hop through the thread pool costs more than any of these operations. */
export const engine: Engine = {
  name: 'node',

  generateX25519(): X25519KeyPair {
    const pair = generateKeyPairSync('x25519');
    const secretKey = new SecretBytes(x25519Export.secretBytes(pair.privateKey));
    parsedSecrets.set(secretKey, pair.privateKey);
    return { publicKey: x25519Export.publicBytes(pair.publicKey), secretKey };
  },

  x25519PublicKey(secretKey: SecretBytes): Uint8Array {
    return x25519Export.publicBytes(createPublicKey(parsedSecret(secretKey)));
  },

  x25519(secretKey: SecretBytes, publicKey: Uint8Array): Uint8Array {
    assertLength(publicKey, 32, 'the X25519 public key');
    const privateKey = parsedSecret(secretKey);
    const peer = x25519PublicKeyObject(publicKey);
    let shared: Uint8Array;
    try {
      shared = asUint8Array(diffieHellman({ privateKey, publicKey: peer }));
    } catch (cause) {
      // With two well-formed keys OpenSSL fails only on the all-zero result.
      throw zeroResult(cause);
    }
    if (shared.every((byte) => byte === 0)) throw zeroResult();
    return shared;
  },

  hmacSha256(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
    if (!hasOneShotHash)
      return asUint8Array(
        createHmac('sha256', key)
          .update(concatBytes(...parts))
          .digest(),
      );
    // Two one-shot hashes take a tenth of the time of the createHmac object.
    const blockKey = key.length > hmacBlockLength ? sha256(key) : key;
    let messageLength = hmacBlockLength;
    for (const part of parts) messageLength += part.length;
    const message = messageLength <= hmacScratch.length ? hmacScratch : new Uint8Array(messageLength);
    let at = hmacBlockLength;
    for (const part of parts) {
      message.set(part, at);
      at += part.length;
    }
    for (let i = 0; i < hmacBlockLength; i++) {
      const keyByte = i < blockKey.length ? (blockKey[i] as number) : 0;
      message[i] = keyByte ^ 0x36;
      hmacOuter[i] = keyByte ^ 0x5c;
    }
    sha256Into(message.subarray(0, messageLength), hmacOuter, hmacBlockLength);
    const mac = sha256(hmacOuter);
    message.fill(0);
    hmacOuter.fill(0);
    return mac;
  },

  aes256GcmSeal(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Uint8Array {
    assertLength(key, 32, 'the AES key');
    assertLength(nonce, 12, 'the AES-GCM nonce');
    // A KeyObject, not the bytes: the cipher is set up in a tenth of the time.
    const cipher = createCipheriv('aes-256-gcm', createSecretKey(key), nonce);
    if (aad.length > 0) cipher.setAAD(aad);
    const ciphertext = cipher.update(plaintext);
    cipher.final();
    return concatBytes(ciphertext, cipher.getAuthTag());
  },

  aes256GcmOpen(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Uint8Array {
    assertLength(key, 32, 'the AES key');
    assertLength(nonce, 12, 'the AES-GCM nonce');
    const tagAt = sealed.length - gcmTagLength;
    if (tagAt < 0) throw openFailed();
    const decipher = createDecipheriv('aes-256-gcm', createSecretKey(key), nonce, { authTagLength: gcmTagLength });
    decipher.setAuthTag(sealed.subarray(tagAt));
    if (aad.length > 0) decipher.setAAD(aad);
    const plaintext = decipher.update(sealed.subarray(0, tagAt));
    try {
      decipher.final();
    } catch (cause) {
      plaintext.fill(0);
      throw openFailed(cause);
    }
    return asUint8Array(plaintext);
  },

  verifyP256(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
    if (publicKey.length !== 64 || signature.length !== 64) return false;
    try {
      // In DER, because Node takes r ‖ s only in an options object, which costs a third of the verification.
      return verify('sha256', message, parsedKey(publicKey, p256PublicKeyObject), ecdsaSignatureDer(signature));
    } catch {
      return false; // not a point of the curve
    }
  },

  verifyP384(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
    if (publicKey.length !== 96 || signature.length !== 96) return false;
    try {
      return verify('sha384', message, parsedKey(publicKey, p384PublicKeyObject), ecdsaSignatureDer(signature));
    } catch {
      return false; // not a point of the curve
    }
  },

  verifyRsaPss(publicKey: RsaPublicKey, message: Uint8Array, signature: Uint8Array): boolean {
    return verifiesRsa('sha384', publicKey, message, signature, {
      padding: constants.RSA_PKCS1_PSS_PADDING,
      saltLength: 48,
    });
  },

  verifyRsaPkcs1(publicKey: RsaPublicKey, message: Uint8Array, signature: Uint8Array): boolean {
    return verifiesRsa('sha256', publicKey, message, signature, { padding: constants.RSA_PKCS1_PADDING });
  },
};

function verifiesRsa(
  hash: 'sha256' | 'sha384',
  publicKey: RsaPublicKey,
  message: Uint8Array,
  signature: Uint8Array,
  padding: SigningOptions,
): boolean {
  const spki = rsaSpki(publicKey);
  if (spki === undefined || signature.length !== publicKey.modulus.length) return false;
  try {
    return verify(hash, message, { key: parsedKey(spki, spkiKeyObject), ...padding }, signature);
  } catch {
    return false;
  }
}

function parsedSecret(secretKey: SecretBytes): KeyObject {
  const bytes = secretKey.reveal();
  const known = parsedSecrets.get(secretKey);
  if (known !== undefined) return known;
  assertLength(bytes, 32, 'the X25519 secret key');
  const parsed = x25519SecretKeyObject(bytes);
  parsedSecrets.set(secretKey, parsed);
  return parsed;
}

/** By the key's bytes: their length tells the kinds apart. */
function parsedKey(publicKey: Uint8Array, parse: (publicKey: Uint8Array) => KeyObject): KeyObject {
  const id = Buffer.from(publicKey.buffer, publicKey.byteOffset, publicKey.length).toString('latin1');
  const parsed = parsedKeys.get(id) ?? parse(publicKey);
  parsedKeys.delete(id);
  parsedKeys.set(id, parsed);
  const [oldest] = parsedKeys.keys();
  if (parsedKeys.size > maxCachedKeys && oldest !== undefined) parsedKeys.delete(oldest);
  return parsed;
}

function zeroResult(cause?: unknown): CryptoError {
  return new CryptoError({ code: 'X25519_ZERO_RESULT', message: 'The X25519 public key is of small order', cause });
}

function openFailed(cause?: unknown): CryptoError {
  return new CryptoError({ code: 'AEAD_OPEN_FAILED', message: 'The sealed bytes do not open under this key', cause });
}
