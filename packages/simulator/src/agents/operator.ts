import { toSharesDown } from '@cloister/economics';
import { report } from '../network/slashing.ts';
import { decidesNow, type Operator, type World } from '../network/world.ts';
import { dollarsNumber, microDollarsOf, phaForUp, worthNumber } from '../units.ts';
import { actGreedy } from './greedy.ts';
import { actHonest } from './honest.ts';
import { goDown } from './lazy.ts';

/** More than this of all workers down at once is the network's fault, and nobody's. */
const networkDownBps = 2_000;

/** Who is down in this step, and what that costs: once for each outage, unless too much of the network was down. */
export function findWhoIsDown(world: World): void {
  const fallen = world.operators.filter((operator) => goDown(world, operator));
  const all = world.operators.reduce((sum, { pool }) => sum + pool.running, 0);
  const down = world.operators.reduce(
    (sum, { pool, availability }) => sum + (availability < 500_000n ? pool.running : 0),
    0,
  );
  if (down * 10_000 > all * networkDownBps) return;
  for (const operator of fallen) report(world, operator, 'downtime', operator.pool.running);
}

/** What an operator does once a step: it pays its machines, cheats where that pays, and each week starts or stops workers. */
export function actOperator(world: World, operator: Operator): void {
  payCosts(world, operator);
  if (operator.group.behaviour === 'greedy') {
    takeOutSurplus(world, operator, operator.pool.held);
    actGreedy(world, operator, operator.group);
  }
  if (decidesNow(world, 7, operator.index % 7)) actHonest(world, operator);
}

/** Costs that an operator wants to have at hand, and what it keeps staked beyond the least, in percent. */
const reserveDays = 30;
const ownCushion = 125n;

/** Asks back what it has staked beyond the least for its bonds and for a tenth more workers, at most twice what it wants. */
function takeOutSurplus(world: World, { pool, bond }: Operator, wanted: bigint): void {
  const planned = pool.reserved + bond * BigInt(Math.ceil(pool.running / 10));
  const kept = (planned * BigInt(world.scenario.parameters.ownStakeBps) * ownCushion) / 1_000_000n;
  const surplus = pool.worthOf('own') - kept;
  const taken = 2n * wanted < surplus ? 2n * wanted : surplus;
  if (taken > 0n) pool.requestRedeem('own', toSharesDown(pool.staked, taken), world.now);
}

/** Machines, not workers, cost: it sells what it earned for that, and pays the rest from outside. */
function payCosts(world: World, operator: Operator): void {
  const { pool, group } = operator;
  const machines = Math.ceil(pool.running / group.workersPerMachine);
  const cost = microDollarsOf(group.costDollarsPerDay * machines * world.stepDays);
  const needed = phaForUp(cost, world.price);
  const has = world.books.balanceOf(operator.account);
  const sold = needed < has ? needed : has;
  world.books.move(operator.account, 'market', sold);
  if (has < needed * BigInt(Math.ceil(reserveDays / world.stepDays))) takeOutSurplus(world, operator, needed);
  const missing = dollarsNumber(cost) - worthNumber(sold, world.price);
  if (missing > 0) operator.outsideDollars += microDollarsOf(missing);
}
