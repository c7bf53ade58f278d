import {
  concatBytes,
  engine,
  hkdfExpand,
  hkdfExtract,
  randomBytes,
  type SecretBytes,
  sha256,
  utf8,
} from '@cloister/crypto';
import { bls12_381 } from '@noble/curves/bls12-381.js';
import { type G1, type G2, g1Length, hashToG2, parseG1, parseG2 } from '../shared/points.ts';
import { scalarFromWide } from '../shared/secretScalar.ts';
import { ThresholdError } from '../shared/thresholdError.ts';

/**
 * Identity-based encryption after Boneh and Franklin (CRYPTO 2001, FullIdent) with the Fujisaki–Okamoto transform: what is
 * sealed to an identity opens with the committee's signature over that identity, which need not exist yet.
 *
 *   sealed = U (48) ‖ V (32) ‖ W (plaintext and 16)
 *   seed   = 32 random bytes
 *   r      = HKDF(seed, "cloister/seal-scalar: v1", identity ‖ sha256(aad) ‖ sha256(plaintext), 48) mod order
 *   U      = r · G1
 *   V      = seed ⊕ HKDF(e(publicKey, H(identity))^r, "cloister/seal-mask: v1", identity ‖ U, 32)
 *   W      = AES-256-GCM(HKDF(seed, "cloister/seal-key: v1", identity ‖ U, 32), nonce 0, aad: identity ‖ U ‖ V ‖ aad)
 *
 * HKDF(secret, salt, info, length) is RFC 5869 with SHA-256. A pairing's value is written as the twelve coefficients over
 * the base field, 48 bytes each and big-endian, in the order of the tower Fp2[v]/(v³ − ξ)[w]/(w² − v), c0 before c1.
 */
const saltScalar = utf8('cloister/seal-scalar: v1');
const saltMask = utf8('cloister/seal-mask: v1');
const saltKey = utf8('cloister/seal-key: v1');
const identityLength = 32;
const seedLength = 32;
/** Bytes by which a sealed value is longer than its plaintext. */
export const sealOverhead = g1Length + seedLength + 16;

/**
 * Seals to whoever will hold the signature of `publicKey` (48 bytes) over `identity` (32 bytes).
 * @param aad stated again at opening; not part of the result
 */
export async function sealToIdentity(
  publicKey: Uint8Array,
  identity: Uint8Array,
  aad: Uint8Array,
  plaintext: Uint8Array,
): Promise<Uint8Array> {
  return sealWithSeed(publicKey, identity, aad, plaintext, randomBytes(seedLength));
}

/** Seals with a given seed, which must be random and used once. It is overwritten. */
export async function sealWithSeed(
  publicKey: Uint8Array,
  identity: Uint8Array,
  aad: Uint8Array,
  plaintext: Uint8Array,
  seed: Uint8Array,
): Promise<Uint8Array> {
  assertIdentity(identity);
  const key = parseG1(publicKey, 'the public key');
  const r = await exponentOf(seed, identity, aad, plaintext);
  const u = bls12_381.G1.Point.BASE.multiply(r).toBytes(true);
  // e(r · key, H) is e(key, H)^r, and a multiplication is cheaper than a power.
  const v = xor(seed, await maskOf(key.multiply(r), hashToG2(identity), identity, u));
  const gcmKey = await derive(seed, saltKey, concatBytes(identity, u), 32);
  const w = await engine.aes256GcmSeal(gcmKey, zeroNonce, concatBytes(identity, u, v, aad), plaintext);
  seed.fill(0);
  gcmKey.fill(0);
  return concatBytes(u, v, w);
}

/**
 * Opens a sealed value with the signature over its identity (96 bytes). Throws SEAL_INVALID for anything that {@link sealToIdentity}
 * did not make for this identity and `aad`, and POINT_INVALID for a signature that is no point.
 */
export async function openSealed(
  signature: SecretBytes,
  identity: Uint8Array,
  aad: Uint8Array,
  sealed: Uint8Array,
): Promise<Uint8Array> {
  assertIdentity(identity);
  const sigma = parseG2(signature.reveal(), 'the signature');
  if (sealed.length < sealOverhead) throw invalid(`it has ${sealed.length} bytes, at least ${sealOverhead} are needed`);
  const u = sealed.subarray(0, g1Length);
  const v = sealed.subarray(g1Length, g1Length + seedLength);
  const w = sealed.subarray(g1Length + seedLength);
  let point: G1;
  try {
    point = parseG1(u, 'the sealed key');
  } catch (cause) {
    throw invalid('its first 48 bytes are no point', cause);
  }
  const seed = xor(v, await maskOf(point, sigma, identity, u));
  const gcmKey = await derive(seed, saltKey, concatBytes(identity, u), 32);
  try {
    const plaintext = await engine.aes256GcmOpen(gcmKey, zeroNonce, concatBytes(identity, u, v, aad), w);
    const r = await exponentOf(seed, identity, aad, plaintext);
    if (!bls12_381.G1.Point.BASE.multiply(r).equals(point)) throw invalid('its randomness is not its own');
    return plaintext;
  } catch (cause) {
    throw cause instanceof ThresholdError ? cause : invalid('it was changed, or sealed to something else', cause);
  } finally {
    seed.fill(0);
    gcmKey.fill(0);
  }
}

const zeroNonce = new Uint8Array(12);

async function exponentOf(
  seed: Uint8Array,
  identity: Uint8Array,
  aad: Uint8Array,
  plaintext: Uint8Array,
): Promise<bigint> {
  const wide = await derive(seed, saltScalar, concatBytes(identity, sha256(aad), sha256(plaintext)), 48);
  const scalar = scalarFromWide(wide);
  wide.fill(0);
  const value = bls12_381.fields.Fr.fromBytes(scalar.reveal());
  scalar.wipe();
  // Of 2^255 seeds one: not met by chance, and multiplication would refuse it too.
  if (value === 0n) throw invalid('its randomness is zero');
  return value;
}

/** The mask of a seed: from e(left, right). */
async function maskOf(left: G1, right: G2, identity: Uint8Array, u: Uint8Array): Promise<Uint8Array> {
  const value = bls12_381.fields.Fp12.toBytes(bls12_381.pairing(left, right as never));
  const mask = await derive(value, saltMask, concatBytes(identity, u), seedLength);
  value.fill(0);
  return mask;
}

async function derive(secret: Uint8Array, salt: Uint8Array, info: Uint8Array, length: number): Promise<Uint8Array> {
  return hkdfExpand(await hkdfExtract(salt, secret), info, length);
}

function xor(left: Uint8Array, right: Uint8Array): Uint8Array {
  return left.map((byte, index) => byte ^ (right[index] as number));
}

function assertIdentity(identity: Uint8Array): void {
  if (identity.length !== identityLength)
    throw new ThresholdError('SEAL_INVALID', `Expected an identity of 32 bytes, got "${identity.length}"`);
}

function invalid(why: string, cause?: unknown): ThresholdError {
  return new ThresholdError('SEAL_INVALID', `Can't open what was sealed: ${why}`, {
    cause,
    hint: 'Seal the value again for this app and key version',
  });
}
