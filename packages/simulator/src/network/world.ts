import type { BondRule, EmissionShares, FeeShares, Offence, WorthRules } from '@cloister/economics';
import type { Random } from '../random.ts';
import type { DelegatorGroup, OperatorGroup, Scenario } from '../scenario/scenario.ts';
import type { Books } from './books.ts';
import type { Pool } from './pool.ts';

/** The scenario's parameters in the units of @cloister/economics. */
export type Rules = {
  readonly bond: BondRule;
  readonly worth: WorthRules;
  readonly growthPpb: bigint;
  readonly emission: EmissionShares;
  readonly fees: FeeShares;
  readonly slashBps: Readonly<Record<Extract<Offence, 'equivocation' | 'wrongResult' | 'downtime'>, bigint>>;
  readonly reporterBps: bigint;
  readonly unbonding: number;
  readonly vetoWindow: number;
};

/** An operator with its pool, and what it has seen. Numbers with fractions are what it decides by. */
export type Operator = {
  readonly index: number;
  readonly account: string;
  readonly poolAccount: string;
  readonly owner: string;
  readonly group: OperatorGroup;
  readonly pool: Pool;
  /** Of one of its workers, units a second. */
  readonly work: bigint;
  readonly confidenceBps: bigint;
  readonly bond: bigint;
  /** Of each of its workers, where values are carried on. */
  value: bigint;
  /** Of this step, in millionths. */
  availability: bigint;
  downUntil: number;
  /** What a worker brought it a day, in dollars, and what its stakers got of a PHA a day: running means. */
  takePerWorkerDay: number;
  yieldPerDay: number;
  slashedPerDay: number;
  lossSince: number | undefined;
  raisedOn: number;
  /** Slashed of others' stake in this step. */
  slashedOthers: bigint;
  /** Paid from outside, as its PHA did not cover its costs; millionths of a dollar. */
  outsideDollars: bigint;
  stolen: bigint;
  cheats: number;
};

export type Delegator = {
  readonly index: number;
  readonly account: string;
  readonly group: DelegatorGroup;
  readonly firstDay: number;
};

export type Gateway = {
  readonly account: string;
  readonly costPerDay: bigint;
  readonly patienceDays: number;
  running: boolean;
  /** Dollars a day, a running mean. */
  incomePerDay: number;
  lossSince: number | undefined;
};

/** A slash whose window still runs. */
export type OpenCase = { readonly operator: Operator; readonly amount: bigint; readonly settleAt: number };

export type World = {
  readonly scenario: Scenario;
  readonly rules: Rules;
  readonly books: Books;
  readonly random: Random;
  readonly operators: readonly Operator[];
  readonly delegators: readonly Delegator[];
  readonly gateways: readonly Gateway[];
  cases: OpenCase[];
  /** Seconds since the start. */
  now: number;
  /** Days since the start, and how many the step has; with fractions. */
  day: number;
  readonly stepDays: number;
  /** Millionths of a dollar for one PHA, at least 1; and 30 days before. */
  price: bigint;
  priceBefore: bigint;
  slashed: bigint;
  /** By cheats, in millionths of a dollar. */
  stolen: bigint;
  cheats: number;
  detected: number;
};

/** Whether an agent that decides every so many days does so in this step. */
export function decidesNow(world: World, everyDays: number, firstDay: number): boolean {
  const turn = (day: number) => Math.floor((day - firstDay) / everyDays);
  return turn(world.day) !== turn(world.day - world.stepDays);
}

/** A running mean over about 30 days. */
export function blend(mean: number, now: number, stepDays: number): number {
  const weight = Math.min(1, stepDays / 30);
  return mean + (now - mean) * weight;
}
