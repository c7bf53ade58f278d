import { type SecretBytes, sha256 } from '@cloister/crypto';
import { signDigest, verifyDigest } from '@cloister/crypto/native-secp256k1';
import { ed25519Sign, ed25519Verify } from './ed25519.ts';
import { GuestError } from './guestError.ts';
import { type GuestAlgorithm, guestAlgorithm } from './guestKeys.ts';

/** How a message becomes what is signed: Ed25519 takes it whole, secp256k1 its SHA-256, or 32 bytes that are a digest already. */
export type GuestScheme = GuestAlgorithm | 'secp256k1_prehashed';

/** As dstack names them. Throws GUEST_ALGORITHM_UNKNOWN. */
export function guestScheme(name: string): GuestScheme {
  return name === 'secp256k1_prehashed' ? name : guestAlgorithm(name);
}

/** 64 bytes: of secp256k1 r ‖ s with a low s and the nonce of RFC 6979. Throws GUEST_REQUEST_INVALID for a digest of another length. */
export function signAs(scheme: GuestScheme, secret: SecretBytes, data: Uint8Array): Uint8Array {
  if (scheme === 'ed25519') return ed25519Sign(secret, data);
  return signDigest(secret, digestOf(scheme, data)).slice(0, 64);
}

/** False for whatever is not a signature over the data by this key, malformed ones included. Throws GUEST_REQUEST_INVALID as {@link signAs}. */
export function verifyAs(
  scheme: GuestScheme,
  { data, signature, publicKey }: Readonly<Record<'data' | 'signature' | 'publicKey', Uint8Array>>,
): boolean {
  if (scheme === 'ed25519') return ed25519Verify(publicKey, data, signature);
  const digest = digestOf(scheme, data);
  return signature.length === 64 && verifyDigest(publicKey, digest, signature);
}

function digestOf(scheme: Exclude<GuestScheme, 'ed25519'>, data: Uint8Array): Uint8Array {
  if (scheme === 'secp256k1') return sha256(data);
  if (data.length === 32) return data;
  throw new GuestError('GUEST_REQUEST_INVALID', `A digest has "32" bytes, got "${data.length}"`);
}
