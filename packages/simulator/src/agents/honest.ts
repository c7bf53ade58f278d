import { maximumCommissionStepBps } from '@cloister/economics';
import type { Operator, World } from '../network/world.ts';
import { worthNumber } from '../units.ts';

/** A year's yield that an operator wants of its own stake, and the margin over its costs at which it grows. */
const wantedYield = 0.1;
const margin = 1.1;
const growth = 0.1;
/** More stake than its bonds need would only share its earnings: it takes this much of that, in percent. */
const cushion = 125n;
/** Stakers that get more than this a year pay for it: the operator asks for more commission. */
const generousYield = 0.2;
/** A raise takes effect twice the unbonding after it was asked for, and the next one waits for it. */
const raiseEveryDays = 14;

/**
 * Starts a tenth more workers while what one brings the operator covers machine and own stake with a margin; stops a tenth once it has
 * covered not even the machine for as long as its patience lasts. Where it lacks own stake it puts its earnings in; where it lacks
 * others', it lowers its commission by a point; where its pool is full and generous, it raises it by as much as it may.
 */
export function actHonest(world: World, operator: Operator): void {
  const { pool, group, bond } = operator;
  const cost = group.costDollarsPerDay / group.workersPerMachine;
  const take = operator.takePerWorkerDay;
  operator.lossSince = take >= cost || pool.running === 0 ? undefined : (operator.lossSince ?? world.day);
  if (operator.lossSince !== undefined && world.day - operator.lossSince >= group.patienceDays) {
    pool.stop(Math.max(1, Math.ceil(pool.running * growth)), world.now);
    setCapacity(operator, 0);
    return;
  }
  raiseCommission(world, operator);
  // Who stopped all looks at what the others earn.
  const seen = pool.running > 0 ? take : bestTake(world);
  const more = Math.min(Math.max(1, Math.ceil(pool.running * growth)), group.maximumWorkers - pool.running);
  const isWorthIt = seen >= (cost + ownYieldWanted(world, operator)) * margin && more > 0 && !pool.closed;
  setCapacity(operator, isWorthIt ? more : 0);
  if (!isWorthIt) return;
  let room = pool.roomFor(bond);
  if (room.byOwnStake < more && pool.isOpen) {
    const put = world.books.balanceOf(operator.account) / 2n;
    if (put > 0n) {
      world.books.move(operator.account, operator.poolAccount, put);
      pool.deposit('own', put);
      room = pool.roomFor(bond);
    }
  }
  if (room.workers < more && room.byOwnStake >= more)
    pool.commissionBps = Math.max(Math.min(group.leastCommissionBps, pool.commissionBps), pool.commissionBps - 100);
  const started = Math.min(more, room.workers);
  if (started > 0) pool.start(started, bond);
}

/** Dollars a day for each worker. */
function ownYieldWanted(world: World, { pool, bond }: Operator): number {
  const leastPart = world.scenario.parameters.ownStakeBps / 10_000;
  const own =
    pool.running > 0
      ? worthNumber(pool.ownAtStake, world.price) / pool.running
      : worthNumber(bond, world.price) * leastPart;
  return (own * wantedYield) / 365;
}

/** Room for others' stake that the bonds of so many more workers need. */
export function setCapacity({ pool, bond }: Operator, more: number): void {
  pool.capacity = ((pool.reserved + bond * BigInt(more)) * cushion) / 100n;
}

function raiseCommission(world: World, operator: Operator): void {
  const { pool, group } = operator;
  const isFull = pool.room * 20n < pool.capacity;
  const isGenerous = operator.yieldPerDay * 365 > generousYield;
  if (!isFull || !isGenerous || world.day - operator.raisedOn < raiseEveryDays) return;
  operator.raisedOn = world.day;
  pool.commissionBps = Math.min(pool.commissionBps + Number(maximumCommissionStepBps), group.mostCommissionBps);
}

function bestTake(world: World): number {
  return world.operators.reduce(
    (best, { pool, takePerWorkerDay }) => (pool.running > 0 ? Math.max(best, takePerWorkerDay) : best),
    0,
  );
}
