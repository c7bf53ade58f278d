import type { StepEmission } from './network/emission.ts';
import type { StepFees } from './network/fees.ts';
import type { World } from './network/world.ts';
import { dollarsNumber, phaNumber, worthNumber } from './units.ts';

/** What is measured after each step, by its name in CSV and JSON: title and unit. Dollars are of the step's price. */
export const measures = {
  day: 'days since the start',
  price: 'price of a PHA, dollars',
  supply: 'issued and not burnt, PHA',
  issued: 'issued ever, PHA',
  burnt: 'burnt, PHA',
  staked: 'staked, PHA',
  leaving: 'asked back and not yet claimed, PHA',
  bonded: 'bonds of running workers, PHA',
  stakingRatio: 'staked and leaving of the supply, %',
  workers: 'running workers',
  operators: 'operators with running workers',
  gateways: 'running gateways',
  wanted: 'demand, dollars a day',
  served: 'served of it, dollars a day',
  emissionIncome: 'emission to a worker and its stakers, dollars a day',
  feeIncome: 'fees to a worker and its stakers, dollars a day',
  take: 'of both the operator’s own, dollars a day',
  cost: 'cost of a worker, dollars a day',
  breakEvenPrice: 'price at which emission alone pays for a worker, dollars',
  carried: 'workers that emission alone can pay for',
  stakerYield: 'what stakers get, % a year',
  topOwner: 'bonds of the largest owner, %',
  ownersOfThird: 'fewest owners with more than a third of the bonds',
  bondWorth: 'bond of a worker, dollars',
  ownLoss: 'least that a proven cheat costs an operator of its own stake, dollars',
  gain: 'most that one cheat brings a greedy operator, dollars',
  thirdCost: 'stake for another half of all bonds, which is a third then, dollars',
  slashed: 'slashed so far, PHA',
  stolen: 'stolen by cheats so far, dollars',
  treasury: 'treasury, PHA',
} as const;

export type Measure = keyof typeof measures;
export type Row = Readonly<Record<Measure, number>>;

export function measure(world: World, emission: StepEmission, fees: StepFees): Row {
  const { operators, books, price, stepDays } = world;
  const running = operators.filter(({ pool }) => pool.running > 0);
  const sumOf = (amount: (operator: World['operators'][number]) => bigint) =>
    operators.reduce((sum, operator) => sum + amount(operator), 0n);
  const workers = running.reduce((sum, { pool }) => sum + pool.running, 0);
  const supply = books.issued - books.burnt;
  const [staked, leaving, bonded] = [
    sumOf(({ pool }) => pool.staked.assets),
    sumOf(({ pool }) => pool.leaving),
    sumOf(({ pool }) => pool.runningBonds),
  ];
  const each = (total: number) => (workers === 0 ? 0 : total / workers);
  const mean = (of: (operator: World['operators'][number]) => number) =>
    each(running.reduce((sum, operator) => sum + of(operator) * operator.pool.running, 0));
  const emissionPha = phaNumber(emission.toWorkers) / stepDays;
  const emissionIncome = each(emissionPha * dollarsNumber(price));
  const feePha = phaNumber([...fees.byOperator.values()].reduce((sum, one) => sum + one, 0n)) / stepDays;
  const cost = mean(({ group }) => group.costDollarsPerDay / group.workersPerMachine);
  const owners = bondsByOwner(world);
  const stakedPha = phaNumber(staked);
  return {
    day: world.day,
    price: dollarsNumber(price),
    supply: phaNumber(supply),
    issued: phaNumber(books.issued),
    burnt: phaNumber(books.burnt),
    staked: stakedPha,
    leaving: phaNumber(leaving),
    bonded: phaNumber(bonded),
    stakingRatio: supply === 0n ? 0 : (100 * phaNumber(staked + leaving)) / phaNumber(supply),
    workers,
    operators: running.length,
    gateways: world.gateways.filter((gateway) => gateway.running).length,
    wanted: dollarsNumber(fees.wanted) / stepDays,
    served: dollarsNumber(fees.served) / stepDays,
    emissionIncome,
    feeIncome: each(feePha * dollarsNumber(price)),
    take: mean(({ takePerWorkerDay }) => takePerWorkerDay),
    cost,
    breakEvenPrice: emissionPha === 0 ? 0 : (cost * workers) / emissionPha,
    carried: cost === 0 ? 0 : Math.floor((emissionIncome * workers) / cost),
    stakerYield:
      stakedPha === 0
        ? 0
        : (36_500 *
            operators.reduce((sum, { pool, yieldPerDay }) => sum + yieldPerDay * phaNumber(pool.staked.assets), 0)) /
          stakedPha,
    topOwner: bonded === 0n ? 0 : (100 * phaNumber(owners[0] ?? 0n)) / phaNumber(bonded),
    ownersOfThird: fewestWithThird(owners, bonded),
    bondWorth: mean(({ pool }) => worthNumber(pool.bond, price)),
    ownLoss: leastOf(
      running.map(({ pool }) => worthNumber(pool.ownAtStake < pool.bond ? pool.ownAtStake : pool.bond, price)),
    ),
    gain: operators.reduce(
      (most, { group }) => (group.behaviour === 'greedy' ? Math.max(most, group.gainDollars) : most),
      0,
    ),
    thirdCost: worthNumber(bonded / 2n, price),
    slashed: phaNumber(world.slashed),
    stolen: dollarsNumber(world.stolen),
    treasury: phaNumber(books.balanceOf('treasury')),
  };
}

/** The owners' bonds, largest first. */
function bondsByOwner(world: World): readonly bigint[] {
  const owners = new Map<string, bigint>();
  for (const { owner, pool } of world.operators) owners.set(owner, (owners.get(owner) ?? 0n) + pool.runningBonds);
  return [...owners.values()].sort((left, right) => (left < right ? 1 : left > right ? -1 : 0));
}

function fewestWithThird(owners: readonly bigint[], bonded: bigint): number {
  if (bonded === 0n) return 0;
  let sum = 0n;
  for (const [index, bonds] of owners.entries()) {
    sum += bonds;
    if (sum * 3n > bonded) return index + 1;
  }
  return owners.length;
}

function leastOf(numbers: readonly number[]): number {
  return numbers.reduce((least, number) => Math.min(least, number), numbers[0] ?? 0);
}
