import { bls12_381_Fr as Fr } from '@noble/curves/bls12-381.js';
import { ThresholdError } from './thresholdError.ts';

/** The order r of the groups: what exponents count modulo. */
export const groupOrder = Fr.ORDER;
export const maxIndex = 255;

/** A share's index: where the sharing polynomial was evaluated. Throws INDEX_INVALID. */
export function assertIndices(indices: readonly number[]): void {
  const seen = new Set<number>();
  for (const index of indices) {
    if (!Number.isInteger(index) || index < 1 || index > maxIndex || seen.has(index))
      throw new ThresholdError('INDEX_INVALID', `Expected distinct indices of 1 to ${maxIndex}, got "${indices}"`);
    seen.add(index);
  }
}

/**
 * Lagrange's coefficients at zero as integers over one denominator: f(0) = Σ numerator_i · f(index_i) / denominator.
 * Small integers, so that points are multiplied by few bits.
 */
export function lagrangeFractions(indices: readonly number[]): { numerators: bigint[]; denominator: bigint } {
  assertIndices(indices);
  const fractions = indices.map((index) => {
    let [above, below] = [1n, 1n];
    for (const other of indices)
      if (other !== index) {
        above *= BigInt(other);
        below *= BigInt(other - index);
      }
    const divisor = gcd(above, below);
    return below < 0n
      ? { above: -above / divisor, below: -below / divisor }
      : { above: above / divisor, below: below / divisor };
  });
  const denominator = fractions.reduce((product, { below }) => (product * below) / gcd(product, below), 1n);
  return { numerators: fractions.map(({ above, below }) => above * (denominator / below)), denominator };
}

/** The same coefficients as numbers modulo r, in the order of the indices. */
export function lagrangeWeights(indices: readonly number[]): bigint[] {
  const { numerators, denominator } = lagrangeFractions(indices);
  const inverse = Fr.inv(denominator % groupOrder);
  return numerators.map((numerator) => Fr.mul(Fr.create(numerator), inverse));
}

function gcd(left: bigint, right: bigint): bigint {
  let [a, b] = [left < 0n ? -left : left, right < 0n ? -right : right];
  while (b !== 0n) [a, b] = [b, a % b];
  return a;
}
