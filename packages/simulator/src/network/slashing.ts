import { slashAmount, splitSlash } from '@cloister/economics';
import type { Operator, World } from './world.ts';

/**
 * Seizes of an operator's pool what an offence of `workers` of its workers costs: into escrow at once, settled when the window is over.
 * A worker that lost part of its bond has it filled up again from its pool, or stops.
 */
export function report(
  world: World,
  operator: Operator,
  offence: 'equivocation' | 'wrongResult' | 'downtime',
  workers: number,
): void {
  const { pool } = operator;
  if (workers === 0 || pool.bond === 0n) return;
  const bps = world.rules.slashBps[offence];
  const each = slashAmount(offence, pool.bond, bps);
  const isWhole = bps === 10_000n;
  const { moved, own } = pool.seize(each * BigInt(workers), isWhole ? workers : 0, world.now);
  world.books.move(operator.poolAccount, 'escrow', moved);
  world.slashed += moved;
  operator.slashedOthers += moved - own;
  world.cases.push({ operator, amount: moved, settleAt: world.now + world.rules.vetoWindow });
}

/** Ends cases whose window is over: the reporter's part, the treasury the rest. */
export function settleCases(world: World): void {
  const isDue = ({ settleAt }: World['cases'][number]) => world.now >= settleAt;
  for (const { operator, amount } of world.cases.filter(isDue)) {
    const { reporter, treasury } = splitSlash(amount, world.rules.reporterBps);
    world.books.move('escrow', 'reporters', reporter);
    world.books.move('escrow', 'treasury', treasury);
    operator.pool.settleSeizure();
  }
  world.cases = world.cases.filter((one) => !isDue(one));
}
