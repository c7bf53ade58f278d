import { createRequire } from 'node:module';
import type * as Secp256k1 from 'secp256k1';
import { toHex } from './bytes.ts';
import { assertLength, CryptoError } from './errors.ts';
import { addressOfPoint, splitSignature } from './ethereumSignature.ts';
import { keccak256 } from './fastKeccak.node.ts';
import type { SecretBytes } from './secretBytes.ts';

const native = loadNative();

/** As `signDigest` of the main entry, by libsecp256k1: constant-time, and several times as fast. */
export function signDigest(secret: SecretBytes, digest: Uint8Array): Uint8Array {
  assertLength(digest, 32, 'the digest');
  const { signature: compact, recid } = native.ecdsaSign(digest, checkedSecret(secret));
  const signature = new Uint8Array(65);
  signature.set(compact);
  signature[64] = 27 + recid;
  return signature;
}

/** As `recoverAddress` of the main entry. */
export function recoverAddress(digest: Uint8Array, signature: Uint8Array): `0x${string}` {
  assertLength(digest, 32, 'the digest');
  const { compact, recoveryBit } = splitSignature(signature);
  try {
    return addressOfPoint(native.ecdsaRecover(compact, recoveryBit, digest, false).subarray(1), keccak256);
  } catch (cause) {
    throw new CryptoError({
      code: 'INVALID_SIGNATURE',
      message: `No key made the signature "${toHex(signature)}" over this digest`,
      cause,
    });
  }
}

/** As `addressOf` of the main entry. */
export function addressOf(secret: SecretBytes): `0x${string}` {
  return addressOfPoint(native.publicKeyCreate(checkedSecret(secret), false).subarray(1), keccak256);
}

/** The public key of a secret key, compressed: 33 bytes (SEC 1 §2.3.3). */
export function compressedPublicKey(secret: SecretBytes): Uint8Array {
  return native.publicKeyCreate(checkedSecret(secret), true);
}

/** Whether 32 bytes are a secret key: more than 0, below the curve order. */
export function isSecretKey(bytes: Uint8Array): boolean {
  return bytes.length === 32 && native.privateKeyVerify(bytes);
}

/**
 * Whether r ‖ s, 64 bytes with a low s, is a signature over the digest; false as well for what is no public key.
 * @param publicKey SEC 1, compressed or not
 */
export function verifyDigest(publicKey: Uint8Array, digest: Uint8Array, compact: Uint8Array): boolean {
  assertLength(digest, 32, 'the digest');
  assertLength(compact, 64, 'the signature');
  try {
    return native.ecdsaVerify(compact, digest, publicKey);
  } catch {
    return false;
  }
}

function checkedSecret(secret: SecretBytes): Uint8Array {
  const bytes = secret.reveal();
  if (bytes.length !== 32 || !native.privateKeyVerify(bytes))
    throw new CryptoError({
      code: 'INVALID_KEY',
      message: 'The bytes are not a secp256k1 secret key: 32 bytes, more than 0, below the curve order',
    });
  return bytes;
}

/** The package's own entry falls back to a slow JavaScript curve without a word; this one file of it never does. */
function loadNative(): typeof Secp256k1 {
  try {
    return createRequire(import.meta.url)('secp256k1/bindings.js') as typeof Secp256k1;
  } catch (cause) {
    throw new CryptoError({
      code: 'NATIVE_MISSING',
      message: `The native secp256k1 module does not load on "${process.platform}-${process.arch}"`,
      hint: 'Install a C compiler and run "npm rebuild secp256k1", or import the functions of the same name from "@cloister/crypto"',
      cause,
    });
  }
}
