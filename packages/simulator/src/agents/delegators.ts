import { type Delegator, decidesNow, type Operator, type World } from '../network/world.ts';
import { phaUnit } from '../units.ts';

/** Another pool must bring so much more before stake moves to it, since it earns nothing for `unbonding`. */
const moveAbove = 1.3;
const leastDeposit = phaUnit / 100n;

/** What a pool brings in a year for each PHA staked, slashes counted as often as the delegator fears them. */
export function yieldOf({ yieldPerDay, slashedPerDay }: Operator, riskAversion: number): number {
  return 365 * (yieldPerDay - riskAversion * slashedPerDay);
}

/**
 * Puts idle PHA into one of the three pools that bring most, where that is what it requires; takes a part out of pools that bring less,
 * or much less than the best. Once the price has fallen far within 30 days it takes out and sells, whatever pools bring.
 */
export function actDelegator(world: World, delegator: Delegator): void {
  const { group, account, index } = delegator;
  if (!decidesNow(world, group.everyDays, delegator.firstDay)) return;
  const required = group.requiredYieldBps / 10_000;
  const panics = world.price * 10_000n < world.priceBefore * BigInt(10_000 - group.panicDropBps);
  const ranked = world.operators
    .filter(({ pool }) => pool.room >= leastDeposit && pool.running > 0)
    .map((operator) => ({ operator, brings: yieldOf(operator, group.riskAversion) }))
    .sort((left, right) => right.brings - left.brings || left.operator.index - right.operator.index);
  const best = ranked[0]?.brings ?? 0; // Of those that take more.
  for (const operator of world.operators) {
    const { pool } = operator;
    const has = pool.shares.get(index) ?? 0n;
    if (has === 0n) continue;
    const brings = yieldOf(operator, group.riskAversion);
    const isBad = pool.running === 0 || brings < required || brings * moveAbove < best;
    if (panics || isBad) pool.requestRedeem(index, partOf(has, pool.running === 0 ? 10_000 : group.moveBps), world.now);
  }
  const idle = world.books.balanceOf(account);
  if (panics) {
    world.books.move(account, 'market', partOf(idle, group.moveBps));
    return;
  }
  const candidates = ranked.slice(0, 3).filter(({ brings }) => brings >= required);
  const chosen = candidates[candidates.length === 0 ? 0 : world.random.below(candidates.length)];
  if (chosen === undefined) return;
  const { room } = chosen.operator.pool;
  const wish = partOf(idle, group.moveBps);
  const put = wish < room ? wish : room;
  if (put < leastDeposit) return;
  world.books.move(account, chosen.operator.poolAccount, put);
  chosen.operator.pool.deposit(index, put);
}

function partOf(amount: bigint, bps: number): bigint {
  return (amount * BigInt(bps)) / 10_000n;
}
