import { assertWithin, ceilDiv } from './shares.ts';

const billion = 1_000_000_000n;

/** How a worker's value moves from epoch to epoch; parts in billionths. Growth 200,000 is Phala's 1.0002 an hour. */
export type GrowthRules = {
  readonly growthPpb: bigint;
  /** What an epoch without any measured work takes of the value. */
  readonly decayPpb: bigint;
  /** What a worker that does all of its work may add for its costs in an epoch, in PHA's smallest unit. */
  readonly costPerEpoch: bigint;
  readonly maximumValue: bigint;
};

/** An epoch of a worker, as its value sees it. */
export type ValuedEpoch = {
  readonly value: bigint;
  /** Measured in this epoch, units a second. */
  readonly work: bigint;
  /** What its bond was reckoned for, units a second; at least 1. More work than that adds no more. */
  readonly expectedWork: bigint;
  /** What it was paid for the epoch. */
  readonly payout: bigint;
};

/**
 * A worker's value after an epoch, of what Phala published: it grows by what the worker is owed for its stake and costs, in
 * proportion to its work (rounded down), up to the maximum; a payout takes that growth back and never more, so that what was not
 * paid is paid by a larger share later. An epoch without work takes a part (rounded up). Throws RangeError for rules out of bounds.
 */
export function valueAfterEpoch({ value, work, expectedWork, payout }: ValuedEpoch, rules: GrowthRules): bigint {
  const { growthPpb, decayPpb, costPerEpoch, maximumValue } = rules;
  assertWithin('a growth', growthPpb, 0n, billion);
  assertWithin('a decay', decayPpb, 0n, billion);
  if (expectedWork < 1n) throw new RangeError(`Expected work of at least 1, got "${expectedWork}"`);
  if (work === 0n) return value - ceilDiv(value * decayPpb, billion);
  const done = work < expectedWork ? work : expectedWork;
  const owed = (done * ((value * growthPpb) / billion + costPerEpoch)) / expectedWork;
  const room = value < maximumValue ? maximumValue - value : 0n;
  const grown = owed < room ? owed : room;
  return value + grown - (payout < grown ? payout : grown);
}
