import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { concatBytes } from './bytes.ts';
import { lastKeyBytes, p256SpkiPrefix, p384SpkiPrefix, rsaSpki, x25519Pkcs8, x25519SpkiPrefix } from './der.ts';
import { type Engine, gcmTagLength, type RsaPublicKey, type X25519KeyPair } from './engine.ts';
import { assertLength, CryptoError } from './errors.ts';
import { SecretBytes } from './secretBytes.ts';

const x25519Algorithm = { name: 'X25519' };
const p256Algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
const p384Algorithm = { name: 'ECDSA', namedCurve: 'P-384' };
const rsaPssAlgorithm = { name: 'RSA-PSS', hash: 'SHA-384' };
const rsaPkcs1Algorithm = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' };

const importedSecrets = new WeakMap<SecretBytes, CryptoKey>();

/** The same primitives for browsers and other platforms with WebCrypto. */
export const engine: Engine = {
  name: 'web',

  async generateX25519(): Promise<X25519KeyPair> {
    const pair = (await crypto.subtle.generateKey(x25519Algorithm, true, ['deriveBits'])) as CryptoKeyPair;
    const pkcs8 = new Uint8Array(await crypto.subtle.exportKey('pkcs8', pair.privateKey));
    const secretKey = new SecretBytes(lastKeyBytes(pkcs8));
    pkcs8.fill(0);
    importedSecrets.set(secretKey, pair.privateKey);
    return { publicKey: new Uint8Array(await crypto.subtle.exportKey('raw', pair.publicKey)), secretKey };
  },

  async x25519PublicKey(secretKey: SecretBytes): Promise<Uint8Array> {
    const basePoint = new Uint8Array(32);
    basePoint[0] = 9;
    return await engine.x25519(secretKey, basePoint);
  },

  async x25519(secretKey: SecretBytes, publicKey: Uint8Array): Promise<Uint8Array> {
    assertLength(publicKey, 32, 'the X25519 public key');
    const privateKey = await importedSecret(secretKey);
    const peer = await crypto.subtle.importKey(
      'spki',
      own(concatBytes(x25519SpkiPrefix, publicKey)),
      x25519Algorithm,
      true,
      [],
    );
    let shared: Uint8Array;
    try {
      shared = new Uint8Array(await crypto.subtle.deriveBits({ name: 'X25519', public: peer }, privateKey, 256));
    } catch (cause) {
      throw zeroResult(cause);
    }
    // Not every platform refuses it by itself.
    if (shared.every((byte) => byte === 0)) throw zeroResult();
    return shared;
  },

  /** By noble: a few microseconds, against two asynchronous hops for each of HPKE's dozens of short HMACs. */
  hmacSha256(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
    const mac = hmac.create(sha256, key);
    for (const part of parts) mac.update(part);
    return mac.digest();
  },

  async aes256GcmSeal(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Promise<Uint8Array> {
    const aesKey = await importAesKey(key, nonce, 'encrypt');
    return new Uint8Array(await crypto.subtle.encrypt(gcmParameters(nonce, aad), aesKey, own(plaintext)));
  },

  async aes256GcmOpen(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Promise<Uint8Array> {
    const aesKey = await importAesKey(key, nonce, 'decrypt');
    try {
      return new Uint8Array(await crypto.subtle.decrypt(gcmParameters(nonce, aad), aesKey, own(sealed)));
    } catch (cause) {
      throw new CryptoError({
        code: 'AEAD_OPEN_FAILED',
        message: 'The sealed bytes do not open under this key',
        cause,
      });
    }
  },

  async verifyP256(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): Promise<boolean> {
    if (publicKey.length !== 64 || signature.length !== 64) return false;
    const spki = concatBytes(p256SpkiPrefix, publicKey);
    return await verifies(spki, p256Algorithm, { name: 'ECDSA', hash: 'SHA-256' }, message, signature);
  },

  async verifyP384(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): Promise<boolean> {
    if (publicKey.length !== 96 || signature.length !== 96) return false;
    const spki = concatBytes(p384SpkiPrefix, publicKey);
    return await verifies(spki, p384Algorithm, { name: 'ECDSA', hash: 'SHA-384' }, message, signature);
  },

  async verifyRsaPss(publicKey: RsaPublicKey, message: Uint8Array, signature: Uint8Array): Promise<boolean> {
    if (signature.length !== publicKey.modulus.length) return false;
    return await verifies(rsaSpki(publicKey), rsaPssAlgorithm, { name: 'RSA-PSS', saltLength: 48 }, message, signature);
  },

  async verifyRsaPkcs1(publicKey: RsaPublicKey, message: Uint8Array, signature: Uint8Array): Promise<boolean> {
    if (signature.length !== publicKey.modulus.length) return false;
    return await verifies(rsaSpki(publicKey), rsaPkcs1Algorithm, rsaPkcs1Algorithm, message, signature);
  },
};

async function verifies(
  spki: Uint8Array | undefined,
  keyAlgorithm: EcKeyImportParams | RsaHashedImportParams,
  algorithm: EcdsaParams | RsaPssParams | AlgorithmIdentifier,
  message: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  if (spki === undefined) return false;
  try {
    const key = await crypto.subtle.importKey('spki', own(spki), keyAlgorithm, false, ['verify']);
    return await crypto.subtle.verify(algorithm, key, own(signature), own(message));
  } catch {
    return false; // not a point of the curve, or no key of this platform
  }
}

async function importedSecret(secretKey: SecretBytes): Promise<CryptoKey> {
  const bytes = secretKey.reveal();
  const known = importedSecrets.get(secretKey);
  if (known !== undefined) return known;
  assertLength(bytes, 32, 'the X25519 secret key');
  const der = own(x25519Pkcs8(bytes));
  const imported = await crypto.subtle.importKey('pkcs8', der, x25519Algorithm, false, ['deriveBits']);
  der.fill(0);
  importedSecrets.set(secretKey, imported);
  return imported;
}

function importAesKey(key: Uint8Array, nonce: Uint8Array, usage: 'encrypt' | 'decrypt'): Promise<CryptoKey> {
  assertLength(key, 32, 'the AES key');
  assertLength(nonce, 12, 'the AES-GCM nonce');
  return crypto.subtle.importKey('raw', own(key), 'AES-GCM', false, [usage]);
}

function gcmParameters(nonce: Uint8Array, aad: Uint8Array): AesGcmParams {
  return { name: 'AES-GCM', iv: own(nonce), additionalData: own(aad), tagLength: gcmTagLength * 8 };
}

/** WebCrypto takes no view of shared memory; everything else passes as it is. */
function own(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytes.buffer instanceof ArrayBuffer
    ? (bytes as Uint8Array<ArrayBuffer>)
    : (concatBytes(bytes) as Uint8Array<ArrayBuffer>);
}

function zeroResult(cause?: unknown): CryptoError {
  return new CryptoError({ code: 'X25519_ZERO_RESULT', message: 'The X25519 public key is of small order', cause });
}
