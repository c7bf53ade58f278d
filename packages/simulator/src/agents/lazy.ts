import type { Operator, World } from '../network/world.ts';

/** Sets how much of the step an operator is there. True where it goes down now: honest and greedy operators never do. */
export function goDown(world: World, operator: Operator): boolean {
  const { group } = operator;
  operator.availability = 1_000_000n;
  if (group.behaviour !== 'lazy') return false;
  const isDown = world.day < operator.downUntil;
  const goes = !isDown && world.random.chance(group.outageBps * world.stepDays);
  if (goes) operator.downUntil = world.day + group.outageDays;
  const downDays = Math.max(0, Math.min(world.stepDays, operator.downUntil - world.day));
  operator.availability = 1_000_000n - BigInt(Math.round((1_000_000 * downDays) / world.stepDays));
  return goes && operator.pool.running > 0;
}
