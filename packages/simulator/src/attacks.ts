import { earningShare, requiredBond, slashAmount, stepsPerScore } from '@cloister/economics';
import type { Run } from './simulate.ts';
import { worthNumber } from './units.ts';

/** An attack at the end of a run, reckoned for a worker of 3,000 points. Dollars; a gain that depends on the victim is null. */
export type Attack = {
  readonly attack: string;
  readonly cost: number;
  readonly gain: number | null;
  readonly pays: string;
};

const typicalScore = 3_000n;
/** Days of income that go with a worker which was found out. */
const horizonDays = 90;

/** What each attack costs and brings, by the parameters, the price and the incomes of a run's end. */
export function attacksOf({ world, rows }: Run): readonly Attack[] {
  const last = rows.at(-1);
  if (last === undefined) throw new RangeError('Expected a run with steps');
  const { rules, price, scenario } = world;
  const work = typicalScore * stepsPerScore;
  const bond = requiredBond(work, rules.bond);
  const dollars = (amount: bigint) => worthNumber(amount, price);
  const future = last.take * horizonDays;
  const own = dollars((bond * BigInt(scenario.parameters.ownStakeBps)) / 10_000n);
  const whole = dollars(slashAmount('equivocation', bond, rules.slashBps.equivocation));
  const wrong = dollars(slashAmount('wrongResult', bond, rules.slashBps.wrongResult));
  const down = dollars(slashAmount('downtime', bond, rules.slashBps.downtime));
  const income = last.emissionIncome + last.feeIncome;
  const share = (workers: bigint) =>
    earningShare({ bond, confidenceBps: 8_000n }, { work, workers }, rules.worth) * workers;
  const second = Number(share(2n)) / Number(share(1n)) - 1;
  const { gatewayBps, gatekeepersBps, treasuryBps } = rules.fees;
  const lostBps = Number(gatekeepersBps + treasuryBps);
  const above = (amount: number) => `above ${amount.toFixed(2)} dollars at stake on one answer`;
  return [
    {
      attack: 'two receipts for one call, the only worker of a pool with the least own stake',
      cost: Math.min(own, whole) + future,
      gain: null,
      pays: above(Math.min(own, whole) + future),
    },
    {
      attack: 'the same in a pool whose own stake covers a bond',
      cost: whole + future,
      gain: null,
      pays: above(whole + future),
    },
    { attack: 'a wrong result of one worker, judged', cost: wrong, gain: null, pays: above(wrong) },
    {
      attack: 'a wrong result that three of three compared workers agree on',
      cost: 3 * wrong,
      gain: null,
      pays: `${above(3 * wrong)}, if all three are drawn to one owner`,
    },
    {
      attack: 'a day of downtime',
      cost: down + income,
      gain: last.cost,
      pays:
        last.cost > down + income
          ? 'now: the worker loses money'
          : 'while a day costs more than it brings and the slash',
    },
    {
      attack: 'a second worker on the same machine, a day',
      cost: (dollars(bond) * last.stakerYield) / 36_500,
      gain: second * last.emissionIncome + last.feeIncome,
      pays: 'by fees alone, where the machine has room: a machine earns emission once, but placement counts workers',
    },
    {
      attack: 'paying oneself 100 dollars of fees through a gateway of one’s own',
      cost: lostBps / 100,
      gain: 0,
      pays: `never: emission does not follow fees; ${((lostBps + Number(gatewayBps)) / 100).toFixed(1)} dollars through another’s gateway`,
    },
    {
      attack: 'reporting oneself: what comes back of a whole bond',
      cost: whole,
      gain: (whole * scenario.parameters.reporterBps) / 10_000,
      pays: 'never by itself; it saves that part of a loss that comes anyway',
    },
    {
      attack: 'a third of all placements, for a day',
      cost: last.thirdCost * (0.1 / 365) + (last.workers / 2) * last.cost,
      gain: (last.workers / 2) * income,
      pays: `needs ${Math.ceil(last.workers / 2)} more workers and ${Math.round(last.thirdCost)} dollars of stake`,
    },
  ];
}
