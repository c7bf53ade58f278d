import { slashAmount } from '@cloister/economics';
import { report } from '../network/slashing.ts';
import type { Operator, World } from '../network/world.ts';
import type { OperatorGroup } from '../scenario/scenario.ts';
import { microDollarsOf, phaForDown, worthNumber } from '../units.ts';

type Greedy = Extract<OperatorGroup, { readonly behaviour: 'greedy' }>;

/** Days of income that a worker loses which was found out. */
const horizonDays = 90;

/**
 * What a cheat that is found out costs the operator itself, in dollars: of the slash what its own stake bears, since its backers bear
 * the rest, and where the worker is stopped, what it would have brought.
 */
export function lossIfFound(world: World, operator: Operator, offence: 'equivocation' | 'wrongResult'): number {
  const { pool } = operator;
  const fine = slashAmount(offence, pool.bond, world.rules.slashBps[offence]);
  const own = pool.ownAtStake;
  const future = offence === 'equivocation' ? Math.max(0, operator.takePerWorkerDay) * horizonDays : 0;
  return worthNumber(fine < own ? fine : own, world.price) + future;
}

/** Cheats with one worker whenever there is an occasion whose gain is above the loss that it expects. */
export function actGreedy(world: World, operator: Operator, group: Greedy): void {
  const { pool } = operator;
  if (pool.running === 0 || !world.random.chance(group.opportunityBps * world.stepDays)) return;
  const offence = group.proven === 1 ? 'equivocation' : 'wrongResult';
  const expected = (group.detectionBps / 10_000) * lossIfFound(world, operator, offence);
  if (group.gainDollars <= expected) return;
  const gain = microDollarsOf(group.gainDollars);
  const pha = phaForDown(gain, world.price);
  const has = world.books.balanceOf('market');
  world.books.move('market', operator.account, pha < has ? pha : has);
  operator.stolen += gain;
  operator.cheats += 1;
  world.stolen += gain;
  world.cheats += 1;
  if (!world.random.chance(group.detectionBps)) return;
  world.detected += 1;
  report(world, operator, offence, 1);
}
