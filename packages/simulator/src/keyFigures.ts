import type { Row } from './measure.ts';
import type { Run } from './simulate.ts';

export const keyFigures = {
  workersAtEnd: 'workers at the end',
  mostWorkers: 'most workers',
  meanWorkers: 'workers on average',
  stakingRatio: 'staked at the end, %',
  stakerYield: 'stakers’ yield at the end, % a year',
  takeAtEnd: 'a worker brings its operator at the end, dollars a day',
  costAtEnd: 'and costs, dollars a day',
  emissionEndsOnDay: 'day from which emission alone never paid a worker again (−1: it did to the end)',
  feesNeeded: 'fees that would keep the last workers without profit, dollars a day',
  servedAtEnd: 'fees paid at the end, dollars a day',
  unserved: 'demand that nobody served, %',
  topOwner: 'largest owner’s bonds at the end, %',
  ownersOfThird: 'fewest owners with a third of the bonds',
  bondWorth: 'bond of a worker at the end, dollars',
  ownLoss: 'a proven cheat costs the weakest operator itself at the end, dollars',
  cheats: 'cheats',
  detected: 'of them shown',
  stolen: 'stolen, dollars',
  slashed: 'slashed, PHA',
  outside: 'operators paid from outside, dollars',
} as const;

export type KeyFigure = keyof typeof keyFigures;

/** What a run comes to. */
export function keyFiguresOf({ scenario, rows, world }: Run): Readonly<Record<KeyFigure, number>> {
  const last = rows.at(-1);
  if (last === undefined) throw new RangeError('Expected a run with steps');
  const emission = last.emissionIncome * last.workers;
  const { feeGatewayBps, feeGatekeepersBps, feeTreasuryBps } = scenario.parameters;
  const operatorsPart = (10_000 - feeGatewayBps - feeGatekeepersBps - feeTreasuryBps) / 10_000;
  const [wanted, served] = [sumOf(rows, 'wanted'), sumOf(rows, 'served')];
  return {
    workersAtEnd: last.workers,
    mostWorkers: rows.reduce((most, { workers }) => Math.max(most, workers), 0),
    meanWorkers: sumOf(rows, 'workers') / rows.length,
    stakingRatio: last.stakingRatio,
    stakerYield: last.stakerYield,
    takeAtEnd: last.take,
    costAtEnd: last.cost,
    emissionEndsOnDay: emissionEndsOn(rows),
    feesNeeded: Math.max(0, last.cost * last.workers - emission) / operatorsPart,
    servedAtEnd: last.served,
    // Whole millionths of a dollar are lost to rounding each step: nothing to be shown.
    unserved: wanted === 0 ? 0 : Math.round((1e6 * (wanted - served)) / wanted) / 1e4,
    topOwner: last.topOwner,
    ownersOfThird: last.ownersOfThird,
    bondWorth: last.bondWorth,
    ownLoss: last.ownLoss,
    cheats: world.cheats,
    detected: world.detected,
    stolen: last.stolen,
    slashed: last.slashed,
    outside: world.operators.reduce((sum, { outsideDollars }) => sum + Number(outsideDollars), 0) / 1e6,
  };
}

/** The day after the last one on which emission brought a worker and its stakers what the worker cost; −1 where that is the run's end. */
export function emissionEndsOn(rows: readonly Row[]): number {
  const last = rows.findLastIndex(({ workers, emissionIncome, cost }) => workers > 0 && emissionIncome >= cost);
  return last === rows.length - 1 ? -1 : (rows[last + 1]?.day ?? -1);
}

function sumOf(rows: readonly Row[], of: 'wanted' | 'served' | 'workers'): number {
  return rows.reduce((sum, row) => sum + row[of], 0);
}
