import { pha } from './emission.ts';
import { ceilDiv } from './shares.ts';
import { squareRootDown, squareRootUp } from './squareRoot.ts';

const whole = 10_000n;
/** The root of a worker's work is taken with 18 decimals. */
const rootScale = 10n ** 18n;

/** What a worker must have at stake. Amounts in PHA's smallest unit. */
export type BondRule = {
  /** k: the bond that a worker of one unit of work a second needs. */
  readonly bondFactor: bigint;
  /** What any worker needs, measured or not; at least 1. */
  readonly minimumBond: bigint;
};

/** What a worker's worth follows from. Amounts are in PHA's smallest unit, parts in ten-thousandths. */
export type WorthRules = Pick<BondRule, 'bondFactor'> & {
  /** rᵉ: what stake counts for at full confidence; at least 10,000. */
  readonly stakeMultiplierBps: bigint;
  /** What the machine itself counts for: for each unit of work a second, and besides. */
  readonly rigPerWork: bigint;
  readonly rigBase: bigint;
  /** The most that a worker is worth. */
  readonly maximumValue: bigint;
  /** What a unit of work a second counts for beside the value. */
  readonly workWeight: bigint;
};

/**
 * What the committee measures, steps of its challenge a second, in hundred thousands is about what Phala's benchmark counted: a server
 * of today does some 300 million steps a second, and scores 3,000.
 */
export const stepsPerScore = 100_000n;

/** k for a root of work, of a k that is stated for a root of score; both in PHA's smallest unit, rounded down. */
export function bondFactorOfScore(perRootOfScore: bigint): bigint {
  return (perRootOfScore * rootScale) / squareRootDown(stepsPerScore * rootScale * rootScale);
}

/**
 * The rules in force, as docs/economics.md chooses them: four times Phala's at its launch, for work in steps a second. So the bond is
 * 200 PHA · √score, the machine counts 1.4458 PHA for each score, and a score itself 4 PHA; all in the proportions that Phala had.
 */
export const defaultWorthRules: WorthRules = {
  bondFactor: bondFactorOfScore(200n * pha),
  stakeMultiplierBps: 15_000n,
  rigPerWork: (14_458n * pha) / (10_000n * stepsPerScore),
  rigBase: 0n,
  maximumValue: 120_000n * pha,
  workWeight: (4n * pha) / stepsPerScore,
};

/** The bond rule in force. */
export const defaultBondRule: BondRule = { bondFactor: defaultWorthRules.bondFactor, minimumBond: 2_000n * pha };

/** P of a worker, as `WorkMeter` counts it: measured steps a second times availability, at most what bonds take. */
export function countedWorkOf({
  work,
  availability,
}: {
  readonly work: bigint;
  readonly availability: number;
}): bigint {
  const done = (work * BigInt(availability)) / 1_000_000n;
  return done < maxCountedWork ? done : maxCountedWork;
}

const maxCountedWork = 10n ** 18n;

/** The least bond for a worker's work: k·√P, the root and the product rounded up, as `WorkerBonds.bondFor` counts. */
export function minimumBond(work: bigint, { bondFactor }: Pick<WorthRules, 'bondFactor'>): bigint {
  return ceilDiv(bondFactor * squareRootUp(work * rootScale * rootScale), rootScale);
}

/** The most work that a bond covers: that of which {@link minimumBond} is no more. Undefined where any bond covers all. */
export function coveredWork(bond: bigint, { bondFactor }: Pick<WorthRules, 'bondFactor'>): bigint | undefined {
  if (bondFactor === 0n) return undefined;
  const root = (bond * rootScale) / bondFactor;
  return (root * root) / (rootScale * rootScale);
}

/** What a worker must have at stake to run: that, and no less than any worker. */
export function requiredBond(work: bigint, rule: BondRule): bigint {
  const bond = minimumBond(work, rule);
  return bond > rule.minimumBond ? bond : rule.minimumBond;
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

/** √(V² + (2·P·confidence)²), P by its weight; rounded down, both inside and out. */
export function workerShare(
  value: bigint,
  work: bigint,
  confidenceBps: bigint,
  { workWeight }: Pick<WorthRules, 'workWeight'>,
): bigint {
  const performance = (2n * work * workWeight * confidenceBps) / whole;
  return squareRootDown(value * value + performance * performance);
}

/**
 * A worker's share of an epoch: what it would have with its machine for itself, divided by the workers that worked there, rounded down.
 * So a machine earns once, however many workers stake on it. Work beyond what the bond covers does not count; without any there is no share.
 * @param worker its bond, and its value where that has a history ({@link valueAfterEpoch}); else what it is worth on entry
 * @param machine its work, units a second, and the workers on it, at least 1
 */
export function earningShare(
  worker: { readonly bond: bigint; readonly confidenceBps: bigint; readonly value?: bigint },
  machine: { readonly work: bigint; readonly workers: bigint },
  rules: WorthRules,
): bigint {
  const { bond, confidenceBps, value } = worker;
  const covered = coveredWork(bond, rules) ?? machine.work;
  const work = machine.work < covered ? machine.work : covered;
  if (work === 0n) return 0n;
  const worth = value ?? workerValue(bond, work, confidenceBps, rules);
  return workerShare(worth, work, confidenceBps, rules) / machine.workers;
}

/** A share's part of an epoch's budget, rounded down. */
export function payoutOf(budget: bigint, share: bigint, sumOfShares: bigint): bigint {
  return sumOfShares === 0n ? 0n : (budget * share) / sumOfShares;
}
