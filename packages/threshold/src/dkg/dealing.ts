import { equalBytes, type SecretBytes } from '@cloister/crypto';
import { bls12_381 } from '@noble/curves/bls12-381.js';
import { publicOf, uncompressG1Native } from '../native/index.ts';
import { lagrangeWeights } from '../shared/lagrange.ts';
import { type G1, unsafeTrustedG1 } from '../shared/points.ts';
import { evaluateAt, randomScalar, weightedSum } from '../shared/secretScalar.ts';
import { ThresholdError } from '../shared/thresholdError.ts';

/**
 * One dealer's part in making (joint Feldman DKG) or moving (resharing) a key: a polynomial of degree threshold − 1, its
 * coefficients committed to in G1, its values for the members. In a resharing the constant term is the dealer's old share.
 */
export type Dealing = {
  /** `threshold` compressed points of G1, constant term first. Public. */
  readonly commitments: readonly Uint8Array[];
  /** Value for member 1, 2, … in this order: for that member alone. */
  readonly shares: readonly SecretBytes[];
};

export const maxMembers = 32;

/**
 * Deals among `count` members so that `threshold` of them have the secret.
 * @param secret what is dealt, the caller's to wipe; default: a fresh random one, which nobody knows afterwards
 */
export function deal(init: { threshold: number; count: number; secret?: SecretBytes }): Dealing {
  const { threshold, count } = init;
  assertThreshold(threshold, count);
  const fresh = Array.from({ length: threshold - (init.secret === undefined ? 0 : 1) }, randomScalar);
  const coefficients = init.secret === undefined ? fresh : [init.secret, ...fresh];
  const commitments = coefficients.map(publicOf);
  const shares = Array.from({ length: count }, (_, position) => evaluateAt(coefficients, position + 1));
  for (const coefficient of fresh) coefficient.wipe();
  return { commitments, shares };
}

/** 1 ≤ threshold ≤ count ≤ 32, and more than half of the members. Throws THRESHOLD_INVALID. */
export function assertThreshold(threshold: number, count: number): void {
  const fits = Number.isInteger(threshold) && Number.isInteger(count) && threshold >= 1 && threshold <= count;
  if (!fits || 2 * threshold <= count || count > maxMembers)
    throw new ThresholdError(
      'THRESHOLD_INVALID',
      `Expected a threshold of more than half of at most ${maxMembers} members, got "${threshold}" of "${count}"`,
    );
}

/** A committed polynomial: its coefficients times G1, constant term first. */
export type Commitments = readonly G1[];

/**
 * Reads a dealer's commitments: `threshold` points.
 * @param constantTerm in a resharing, the dealer's public share in the old generation, which its constant term must be
 * Throws DEALING_INVALID.
 */
export function parseCommitments(
  commitments: readonly Uint8Array[],
  threshold: number,
  constantTerm?: Uint8Array,
): Commitments {
  if (commitments.length !== threshold)
    throw new ThresholdError('DEALING_INVALID', `Expected "${threshold}" commitments, got "${commitments.length}"`);
  const points = commitments.map((bytes) => {
    const coordinates = uncompressG1Native(bytes);
    if (coordinates === undefined) throw new ThresholdError('DEALING_INVALID', 'A commitment is no point');
    return unsafeTrustedG1(coordinates);
  });
  // A point has one compressed form.
  if (constantTerm !== undefined && !equalBytes(commitments[0] as Uint8Array, constantTerm))
    throw new ThresholdError('DEALING_INVALID', 'The dealer does not deal the share that it holds');
  return points;
}

/** The committed polynomial at a member's place, compressed: its public share; at 0 the public key. Throws POINT_INVALID for the identity. */
export function publicShareAt(commitments: Commitments, index: number): Uint8Array {
  const point = valueAt(commitments, index);
  if (point.is0()) throw new ThresholdError('POINT_INVALID', `The public share of member "${index}" is the identity`);
  return point.toBytes(true);
}

/** Whether a share is the committed polynomial's value for this member. */
export function shareFits(commitments: Commitments, index: number, share: SecretBytes): boolean {
  const point = valueAt(commitments, index);
  return !point.is0() && equalBytes(point.toBytes(true), publicOf(share));
}

/** What the dealings of qualified dealers make together. */
export type Combined = {
  /** Of the key that is shared now. */
  readonly commitments: Commitments;
  /** Weight of each dealer's share, in the dealers' order: for {@link combineShares}. */
  readonly weights: readonly bigint[];
};

/** A new key: the sum of what the dealers dealt. */
export function combineFresh(dealings: readonly Commitments[]): Combined {
  return combine(
    dealings,
    dealings.map(() => 1n),
  );
}

/** The same key as before, shared anew: each dealer dealt the share that it held at its old index. */
export function combineResharing(dealings: readonly Commitments[], oldIndices: readonly number[]): Combined {
  return combine(dealings, lagrangeWeights(oldIndices));
}

/** A member's share: what the qualified dealers gave it, weighted. The parts stay the caller's to wipe. */
export function combineShares(shares: readonly SecretBytes[], weights: readonly bigint[]): SecretBytes {
  if (shares.length !== weights.length)
    throw new ThresholdError('SHARE_INVALID', `Expected "${weights.length}" shares, got "${shares.length}"`);
  return weightedSum(shares, weights);
}

function combine(dealings: readonly Commitments[], weights: readonly bigint[]): Combined {
  const length = dealings[0]?.length ?? 0;
  if (length === 0 || dealings.some((dealing) => dealing.length !== length))
    throw new ThresholdError('DEALING_INVALID', 'Expected dealings of one threshold, and one at least');
  const commitments = Array.from({ length }, (_, power) =>
    dealings.reduce(
      (sum, dealing, index) => sum.add((dealing[power] as G1).multiplyUnsafe(weights[index] as bigint)),
      bls12_381.G1.Point.ZERO as G1,
    ),
  );
  return { commitments, weights };
}

/** By Horner's rule: an index has few bits. */
function valueAt(commitments: Commitments, index: number): G1 {
  const x = BigInt(index);
  return commitments.reduceRight((sum, point) => (x === 0n ? point : sum.multiplyUnsafe(x).add(point)));
}
