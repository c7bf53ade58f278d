import { secp256k1 } from '@noble/curves/secp256k1.js';
import { toHex } from './bytes.ts';
import { assertLength, CryptoError } from './errors.ts';
import { addressOfPoint, splitSignature } from './ethereumSignature.ts';
import { keccak256 } from './hash.ts';
import { SecretBytes } from './secretBytes.ts';

/** A fresh secret key. */
export function generateSecp256k1(): SecretBytes {
  return new SecretBytes(secp256k1.utils.randomSecretKey());
}

/**
 * Signs a digest as Ethereum does: deterministic nonce (RFC 6979), low s (EIP-2).
 * @param digest 32 bytes, already hashed and domain-separated
 * @returns 65 bytes, r ‖ s ‖ v with v 27 or 28
 */
export function signDigest(secret: SecretBytes, digest: Uint8Array): Uint8Array {
  assertLength(digest, 32, 'the digest');
  const recovered = secp256k1.sign(digest, checkedSecret(secret), { prehash: false, format: 'recovered', lowS: true });
  const signature = new Uint8Array(65);
  signature.set(recovered.subarray(1));
  signature[64] = 27 + (recovered[0] as number);
  return signature;
}

/**
 * The address whose key signed the digest, in lower case. Throws INVALID_SIGNATURE for what no key signed and for the
 * second form of a signature (high s, another v), so that a signature has one byte form.
 */
export function recoverAddress(digest: Uint8Array, signature: Uint8Array): `0x${string}` {
  assertLength(digest, 32, 'the digest');
  const { compact, recoveryBit } = splitSignature(signature);
  const recovered = new Uint8Array(65);
  recovered[0] = recoveryBit;
  recovered.set(compact, 1);
  try {
    const point = secp256k1.Point.fromBytes(secp256k1.recoverPublicKey(recovered, digest, { prehash: false }));
    return addressOfPoint(point.toBytes(false).subarray(1), keccak256);
  } catch (cause) {
    throw new CryptoError({
      code: 'INVALID_SIGNATURE',
      message: `No key made the signature "${toHex(signature)}" over this digest`,
      cause,
    });
  }
}

/** The Ethereum address of a secret key, in lower case. */
export function addressOf(secret: SecretBytes): `0x${string}` {
  return addressOfPoint(secp256k1.getPublicKey(checkedSecret(secret), false).subarray(1), keccak256);
}

function checkedSecret(secret: SecretBytes): Uint8Array {
  const bytes = secret.reveal();
  if (!secp256k1.utils.isValidSecretKey(bytes))
    throw new CryptoError({
      code: 'INVALID_KEY',
      message: 'The bytes are not a secp256k1 secret key: 32 bytes, more than 0, below the curve order',
    });
  return bytes;
}
