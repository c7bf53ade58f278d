import {
  defaultEmissionShares,
  defaultFeeShares,
  defaultWorthRules,
  maximumCommissionBps,
  maximumFeeShares,
  maximumReporterBps,
  type Offence,
  slashTable,
} from '@cloister/economics';
import { bps, decimal, list, type ObjectOf, object, text, union, whole } from './fields.ts';

/** A path of a price or of demand over time; dollars. */
const curve = (value: number) =>
  union(
    'path',
    {
      flat: { dollars: decimal(value, 0, 1e12, 'all the time') },
      grow: {
        dollars: decimal(value, 0, 1e12, 'on day 0'),
        perDayPpm: whole(1_000, -100_000, 100_000, 'growth a day, in millionths'),
      },
      stall: {
        dollars: decimal(value, 0, 1e12, 'on day 0'),
        perDayPpm: whole(1_000, -100_000, 100_000, 'growth a day, in millionths'),
        untilDay: whole(365, 0, 36_500, 'then it stays'),
      },
      collapse: {
        dollars: decimal(value, 0, 1e12, 'on day 0'),
        perDayPpm: whole(0, -100_000, 100_000, 'growth a day until then, in millionths'),
        atDay: whole(365, 0, 36_500, 'when it starts to fall'),
        overDays: whole(30, 1, 3_650, 'how long it falls'),
        toBps: bps(1_000, 10_000, 'what is left of it'),
      },
      points: { points: { kind: 'points', minimum: 0, maximum: 1e12 } },
    },
    'flat',
  );

const machine = {
  owner: text('', 40, 'who stands behind it, where several are one; by default each is its own'),
  count: whole(1, 1, 400, 'how many such operators'),
  workers: whole(10, 0, 200, 'on day 0'),
  maximumWorkers: whole(50, 0, 200, 'that it has machines for'),
  workersPerMachine: whole(1, 1, 64, 'more than one: they split its work, and its cost'),
  score: decimal(3_000, 1, 1e9, 'measured work of a machine, in 100,000 steps a second'),
  confidenceBps: bps(8_000, 10_000, 'how far the machine is trusted'),
  ownPha: decimal(50_000, 0, 1e9, 'staked by itself on day 0'),
  commissionBps: bps(1_000, Number(maximumCommissionBps), 'of what comes into its pool'),
  leastCommissionBps: bps(500, Number(maximumCommissionBps), 'where it must attract stake'),
  mostCommissionBps: bps(5_000, Number(maximumCommissionBps), 'where stake comes by itself'),
  costDollarsPerDay: decimal(8, 0, 1e6, 'of a machine'),
  feeCapacityDollarsPerDay: decimal(25, 0, 1e6, 'that a machine can earn in fees, fully used'),
  patienceDays: whole(28, 0, 3_650, 'at a loss before it stops workers'),
};

const operator = union(
  'behaviour',
  {
    honest: machine,
    lazy: {
      ...machine,
      outageBps: bps(300, 10_000, 'chance each day to go down'),
      outageDays: decimal(1, 0, 365, 'how long it is down'),
    },
    greedy: {
      ...machine,
      opportunityBps: bps(100, 10_000, 'chance each day that cheating could bring something'),
      gainDollars: decimal(500, 0, 1e9, 'what one cheat brings: the value that rests on one worker’s word'),
      detectionBps: bps(9_000, 10_000, 'how likely it is shown'),
      proven: whole(1, 0, 1, '1: two receipts, proven on the chain; 0: a wrong result, judged'),
    },
  },
  'honest',
);

const delegator = object({
  count: whole(1, 1, 400, 'how many such delegators'),
  pha: decimal(1_000_000, 0, 1e9, 'each holds, all idle on day 0'),
  requiredYieldBps: bps(800, 10_000, 'a year, below which it leaves'),
  riskAversion: decimal(3, 0, 100, 'how many times it counts a slash against earnings'),
  moveBps: bps(2_000, 10_000, 'of its stake or idle PHA, moved at once'),
  everyDays: whole(7, 1, 365, 'how often it decides'),
  panicDropBps: bps(5_000, 10_000, 'fall of the price within 30 days at which it leaves and sells'),
});

const gateway = object({
  count: whole(1, 1, 100, 'how many such gateways'),
  costDollarsPerDay: decimal(40, 0, 1e6, 'of its machines and traffic'),
  patienceDays: whole(60, 0, 3_650, 'at a loss before it stops'),
});

const offence = (name: Offence) =>
  whole(Number(slashTable[name].bps), Number(slashTable[name].minimumBps), Number(slashTable[name].maximumBps), name);

/** Everything that a scenario file may say; what it leaves out is as here. */
export const scenarioShape = {
  name: text('unnamed', 40, ''),
  about: text('', 400, 'one sentence'),
  seed: whole(1, 0, 2 ** 32 - 1, ''),
  epochs: whole(35_064, 1, 1_000_000, 'how long; 35,064 epochs of an hour are four years'),
  epochSeconds: whole(3_600, 60, 86_400, ''),
  epochsPerStep: whole(24, 1, 1_000, 'epochs that are reckoned together'),
  /** What governance sets. */
  parameters: object({
    bondFactorPha: decimal(200, 0, 10_000, 'k for a root of score'),
    minimumBondPha: decimal(2_000, 0.000001, 1_000_000, 'of any worker'),
    ownStakeBps: bps(2_000, 5_000, 'of all bonds, the operator’s own'),
    unbondingDays: decimal(7, 0.001, 28, 'for stake and bonds'),
    vetoDays: decimal(4, 0, 28, 'a slash lies in escrow'),
    stakeMultiplierBps: whole(Number(defaultWorthRules.stakeMultiplierBps), 10_000, 100_000, 'what stake counts for'),
    rigPhaPerScore: decimal(1.4458, 0, 1_000, 'what the machine counts for'),
    workPhaPerScore: decimal(4, 0, 1_000, 'what measured work counts for beside the value'),
    maximumValuePha: decimal(120_000, 0, 1e9, 'the most that a worker is worth'),
    growthPpb: whole(0, 0, 1_000_000, 'growth of a worker’s value in an epoch, in billionths'),
    emissionTreasuryBps: bps(Number(defaultEmissionShares.treasuryBps), 3_000, 'of emission'),
    emissionGatekeepersBps: bps(Number(defaultEmissionShares.gatekeepersBps), 1_000, 'of emission'),
    feeGatewayBps: bps(Number(defaultFeeShares.gatewayBps), Number(maximumFeeShares.gatewayBps), 'of fees'),
    feeGatekeepersBps: bps(Number(defaultFeeShares.gatekeepersBps), Number(maximumFeeShares.gatekeepersBps), 'of fees'),
    feeTreasuryBps: bps(Number(defaultFeeShares.treasuryBps), Number(maximumFeeShares.treasuryBps), 'of fees'),
    slashEquivocationBps: offence('equivocation'),
    slashWrongResultBps: offence('wrongResult'),
    slashDowntimeBps: offence('downtime'),
    reporterBps: bps(1_000, Number(maximumReporterBps), 'of what is slashed'),
  }),
  market: object({
    circulatingPha: decimal(481_600_000, 0, 481_600_000, 'issued on day 0, agents’ PHA included'),
    startsAtDay: whole(0, 0, 36_500, 'of the schedule of emission'),
    price: curve(0.1),
    demand: curve(2_000),
  }),
  network: object({
    missedEpochsBps: bps(0, 10_000, 'epochs without a record'),
    voidedEpochsBps: bps(0, 10_000, 'epochs whose rewards are blocked and burnt'),
  }),
  operators: list(operator, 40),
  delegators: list(delegator, 40),
  gateways: list(gateway, 20),
};

export type Scenario = ObjectOf<typeof scenarioShape>;
export type OperatorGroup = Scenario['operators'][number];
export type DelegatorGroup = Scenario['delegators'][number];
export type Curve = Scenario['market']['price'];
