import { toHex } from '@cloister/crypto';
import { bls12_381 } from '@noble/curves/bls12-381.js';
import { ThresholdError } from './thresholdError.ts';

// BLS12-381 as the min-pk suites use it: public keys in G1, signatures in G2, compressed as by Zcash and the IETF draft
// (draft-irtf-cfrg-bls-signature, appendix A).
export type G1 = InstanceType<typeof bls12_381.G1.Point>;
export type G2 = InstanceType<typeof bls12_381.G2.Point>;

export const g1Length = 48;
export const g2Length = 96;

/** The one domain separation tag that native implementations offer; purposes are told apart inside each message. */
const hashDomain = 'BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_';

/** A point of G1 other than its identity, in the prime-order subgroup. Throws POINT_INVALID. */
export function parseG1(bytes: Uint8Array, what: string): G1 {
  return parse(bls12_381.G1.Point, bytes, g1Length, what);
}

/** A point of G2 other than its identity, in the prime-order subgroup. Throws POINT_INVALID. */
export function parseG2(bytes: Uint8Array, what: string): G2 {
  return parse(bls12_381.G2.Point, bytes, g2Length, what);
}

/** hash_to_curve of RFC 9380 into G2, with the suite's tag. */
export function hashToG2(message: Uint8Array): G2 {
  return bls12_381.G2.hashToCurve(message, { DST: hashDomain }) as unknown as G2;
}

/**
 * Points from uncompressed coordinates (twice the compressed length) that native code has read and found in the prime-order subgroup: nothing
 * is checked again, which is what costs most in JavaScript.
 */
export function unsafeTrustedG1(uncompressed: Uint8Array): G1 {
  return bls12_381.G1.Point.fromAffine({ x: numberAt(uncompressed, 0), y: numberAt(uncompressed, 1) });
}

export function unsafeTrustedG2(uncompressed: Uint8Array): G2 {
  // The part with the root comes first.
  const at = (place: number) => ({ c0: numberAt(uncompressed, place + 1), c1: numberAt(uncompressed, place) });
  return bls12_381.G2.Point.fromAffine({ x: at(0), y: at(2) });
}

/** The big-endian number in the 48 bytes at a place. */
function numberAt(bytes: Uint8Array, place: number): bigint {
  return BigInt(toHex(bytes.subarray(48 * place, 48 * (place + 1))));
}

type ParsedPoint = { assertValidity(): void; is0(): boolean };

function parse<Point extends ParsedPoint>(
  group: { fromBytes(bytes: Uint8Array): Point },
  bytes: Uint8Array,
  length: number,
  what: string,
): Point {
  try {
    // The uncompressed form has twice the length, so a length fixes the form.
    if (bytes.length !== length) throw new Error(`${bytes.length} bytes`);
    const point = group.fromBytes(bytes);
    if (point.is0()) throw new Error('the identity');
    point.assertValidity();
    return point;
  } catch (cause) {
    throw new ThresholdError('POINT_INVALID', `Expected ${what} to be a compressed point of ${length} bytes`, {
      cause,
    });
  }
}
