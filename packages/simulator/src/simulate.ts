import { actDelegator } from './agents/delegators.ts';
import { actGateways } from './agents/gateways.ts';
import { actOperator, findWhoIsDown } from './agents/operator.ts';
import { measure, type Row } from './measure.ts';
import { createWorld, stepsOf } from './network/createWorld.ts';
import { curveByDay } from './network/curve.ts';
import { mintStep, type StepEmission } from './network/emission.ts';
import { payStep, type StepFees } from './network/fees.ts';
import { settleCases } from './network/slashing.ts';
import { blend, type World } from './network/world.ts';
import type { Scenario } from './scenario/scenario.ts';
import { phaNumber, worthNumber } from './units.ts';

/** A run: a row for each step, and the world as it ended. */
export type Run = { readonly scenario: Scenario; readonly rows: readonly Row[]; readonly world: World };

/**
 * Runs a scenario to its end. The same scenario gives the same rows, to the last digit. After every step all PHA that was issued and
 * not burnt is held by somebody, and each pool and the escrow hold what they owe.
 * Throws CONSERVATION_BROKEN, BOOKS_OVERDRAWN and their like for a defect of the simulator; SCENARIO_CONTRADICTION.
 */
export function simulate(scenario: Scenario): Run {
  const world = createWorld(scenario);
  const steps = stepsOf(scenario);
  const days = Math.ceil(steps * world.stepDays) + 1;
  const [prices, demand] = [curveByDay(scenario.market.price, days), curveByDay(scenario.market.demand, days)];
  const firstEpoch = Math.floor((scenario.market.startsAtDay * 86_400) / scenario.epochSeconds);
  const hasRecordBefore = { value: true };
  const rows: Row[] = [];
  for (let step = 0; step < steps; step += 1) {
    const today = Math.floor(world.day);
    world.price = atLeastOne(prices[today]);
    world.priceBefore = atLeastOne(prices[Math.max(0, today - 30)]);
    world.now += scenario.epochSeconds * scenario.epochsPerStep;
    world.day += world.stepDays;
    for (const operator of world.operators) operator.slashedOthers = 0n;
    findWhoIsDown(world);
    payWhoLeaves(world);
    const emission = mintStep(world, firstEpoch + step * scenario.epochsPerStep, hasRecordBefore);
    const fees = payStep(world, demand[today] ?? 0n);
    remember(world, emission, fees);
    for (const operator of world.operators) actOperator(world, operator);
    for (const delegator of world.delegators) actDelegator(world, delegator);
    actGateways(world, fees);
    settleCases(world);
    assertConserved(world);
    rows.push(measure(world, emission, fees));
  }
  return { scenario, rows, world };
}

function payWhoLeaves(world: World): void {
  for (const operator of world.operators) {
    operator.pool.settleBonds(world.now);
    for (const { holder, assets } of operator.pool.claim(world.now)) {
      const to = holder === 'own' ? operator.account : (world.delegators[holder]?.account ?? 'market');
      world.books.move(operator.poolAccount, to, assets);
    }
  }
}

/** What operators and delegators will decide by. */
function remember(world: World, emission: StepEmission, fees: StepFees): void {
  for (const operator of world.operators) {
    const { pool } = operator;
    const earned = (emission.byOperator.get(operator) ?? 0n) + (fees.byOperator.get(operator) ?? 0n);
    const staked = phaNumber(pool.staked.assets);
    const commission = pool.commissionBps / 10_000;
    const own = staked === 0 ? 0 : phaNumber(pool.worthOf('own')) / staked;
    if (pool.running > 0) {
      const take = (worthNumber(earned, world.price) * (commission + (1 - commission) * own)) / pool.running;
      operator.takePerWorkerDay = blend(operator.takePerWorkerDay, take / world.stepDays, world.stepDays);
    }
    const perDay = (amount: number) => (staked < 1 ? 0 : amount / staked / world.stepDays);
    const toStakers = perDay(phaNumber(earned) * (1 - commission));
    operator.yieldPerDay = blend(operator.yieldPerDay, toStakers, world.stepDays);
    operator.slashedPerDay = blend(operator.slashedPerDay, perDay(phaNumber(operator.slashedOthers)), world.stepDays);
  }
}

function assertConserved(world: World): void {
  const escrow = world.cases.reduce((sum, { amount }) => sum + amount, 0n);
  world.books.assertConserved([
    ...world.operators.map(({ poolAccount, pool }) => [poolAccount, pool.held] as const),
    ['escrow', escrow],
  ]);
}

function atLeastOne(price: bigint | undefined): bigint {
  return price === undefined || price < 1n ? 1n : price;
}
