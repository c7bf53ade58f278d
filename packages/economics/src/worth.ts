import { pha } from './emission.ts';
import { squareRootDown, squareRootUp } from './squareRoot.ts';

const whole = 10_000n;

/** What a worker's worth follows from. Amounts are in PHA's smallest unit, parts in ten-thousandths. */
export type WorthRules = {
  /** k: the bond that a worker of one unit of work a second needs. */
  readonly bondFactor: bigint;
  /** rᵉ: what stake counts for at full confidence; at least 10,000. */
  readonly stakeMultiplierBps: bigint;
  /** What the machine itself counts for: for each unit of work a second, and besides. */
  readonly rigPerWork: bigint;
  readonly rigBase: bigint;
  /** The most that a worker is worth. */
  readonly maximumValue: bigint;
};

/** The least bond of a worker: k·√P, rounded up. */
export function minimumBond(work: bigint, { bondFactor }: Pick<WorthRules, 'bondFactor'>): bigint {
  return squareRootUp(bondFactor * bondFactor * work);
}

/**
 * V = (1 + (rᵉ − 1)·confidence)·(bond + rig), rounded down, at most the maximum.
 * @param confidenceBps in ten-thousandths
 */
export function workerValue(bond: bigint, work: bigint, confidenceBps: bigint, rules: WorthRules): bigint {
  const { stakeMultiplierBps, rigPerWork, rigBase, maximumValue } = rules;
  const factor = whole * whole + (stakeMultiplierBps - whole) * confidenceBps;
  const value = (factor * (bond + rigPerWork * work + rigBase)) / (whole * whole);
  return value < maximumValue ? value : maximumValue;
}

/** √(V² + (2·P·confidence)²), a unit of work counting as one PHA; rounded down, both inside and out. */
export function workerShare(value: bigint, work: bigint, confidenceBps: bigint): bigint {
  const performance = (2n * work * pha * confidenceBps) / whole;
  return squareRootDown(value * value + performance * performance);
}
