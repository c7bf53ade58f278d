import { bls12_381, bls12_381_Fr as Fr } from '@noble/curves/bls12-381.js';
import { groupOrder, lagrangeFractions } from '../shared/lagrange.ts';
import { type G2, hashToG2, parseG1, parseG2, unsafeTrustedG2 } from '../shared/points.ts';
import { ThresholdError } from '../shared/thresholdError.ts';

/** One member's answer: its share's signature over the message. */
export type Partial = {
  /** The member's index, from 1. */
  readonly index: number;
  /** 96 bytes, a compressed point of G2. */
  readonly signature: Uint8Array;
};

/** Whether `signature` (96 bytes) is the one signature of `publicKey` (48 bytes) over the message. Throws POINT_INVALID for what is no point. */
export function verifySignature(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  const key = parseG1(publicKey, 'the public key');
  const point = parseG2(signature, 'the signature');
  return bls12_381.longSignatures.verify(point, hashToG2(message) as never, key);
}

/**
 * The signature that these partials make, not yet verified: at least as many as the threshold, of distinct members. Of wrong
 * partials, or too few, it is another point; only verification tells. Throws POINT_INVALID, INDEX_INVALID.
 */
export function combinePartials(partials: readonly Partial[]): Uint8Array {
  return combinePoints(
    partials.map(({ index, signature }) => ({ index, point: parseG2(signature, `the partial of member "${index}"`) })),
  );
}

function combinePoints(partials: readonly { readonly index: number; readonly point: G2 }[]): Uint8Array {
  if (partials.length === 0) throw new ThresholdError('THRESHOLD_INVALID', 'Expected one partial at least, got none');
  const { numerators, denominator } = lagrangeFractions(partials.map(({ index }) => index));
  let sum: G2 = bls12_381.G2.Point.ZERO;
  partials.forEach(({ point }, position) => {
    const numerator = numerators[position] as bigint;
    sum = sum.add((numerator < 0n ? point.negate() : point).multiplyUnsafe(numerator < 0n ? -numerator : numerator));
  });
  const combined = sum.multiplyUnsafe(Fr.inv(denominator % groupOrder));
  if (combined.is0()) throw new ThresholdError('COMBINATION_INVALID', 'The partials cancel each other out');
  return combined.toBytes(true);
}

/** What {@link combineVerified} needs besides partials. Keys and shares are 48 bytes each. */
export type CombineInit = {
  readonly message: Uint8Array;
  readonly publicKey: Uint8Array;
  readonly threshold: number;
  /** Public share of a member, where known: then a wrong partial is named and left out. */
  readonly publicShareOf?: (index: number) => Uint8Array | undefined;
  /** Default: {@link verifySignature}; on Node.js the native one is ten times faster. */
  readonly verify?: (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean;
  /** Coordinates of a partial, 192 bytes, checked; undefined for what is no point. Default: in JavaScript, fifty times slower than native. */
  readonly uncompress?: (bytes: Uint8Array) => Uint8Array | undefined;
};

/**
 * The signature of `publicKey` over the message, made of `threshold` of the partials and verified. Tries the first ones; if
 * those don't hold, checks each partial by its member's public share and goes on with the good ones, naming the others in
 * `wrong`. Throws COMBINATION_INVALID (with the wrong members in `meta`) where too few good ones remain.
 */
export function combineVerified(
  partials: readonly Partial[],
  init: CombineInit,
): { readonly signature: Uint8Array; readonly wrong: readonly number[] } {
  const { message, publicKey, threshold, publicShareOf, verify = verifySignature, uncompress } = init;
  const read = partials.map((partial) => ({ ...partial, point: pointOf(partial.signature, uncompress) }));
  const candidates = read.flatMap(({ point, ...partial }) => (point === undefined ? [] : [{ ...partial, point }]));
  const wrong = read.filter(({ point }) => point === undefined).map(({ index }) => index);
  const tried = attempt(candidates);
  if (tried !== undefined) return { signature: tried, wrong };
  if (publicShareOf !== undefined) {
    const good = candidates.filter(({ index, signature }) => {
      const share = publicShareOf(index);
      return share !== undefined && verify(share, message, signature);
    });
    wrong.push(...candidates.filter((candidate) => !good.includes(candidate)).map(({ index }) => index));
    const mended = attempt(good);
    if (mended !== undefined) return { signature: mended, wrong };
  }
  throw new ThresholdError(
    'COMBINATION_INVALID',
    `Expected "${threshold}" good partials, got "${partials.length}" of which members "${wrong}" gave wrong ones`,
    { meta: { threshold, given: partials.length, wrong } },
  );

  function attempt(from: typeof candidates): Uint8Array | undefined {
    if (from.length < threshold) return undefined;
    const signature = combinePoints(from.slice(0, threshold));
    return verify(publicKey, message, signature) ? signature : undefined;
  }
}

function pointOf(bytes: Uint8Array, uncompress: CombineInit['uncompress']): G2 | undefined {
  if (uncompress !== undefined) {
    const coordinates = uncompress(bytes);
    return coordinates && unsafeTrustedG2(coordinates);
  }
  try {
    return parseG2(bytes, 'a partial');
  } catch {
    return undefined;
  }
}
