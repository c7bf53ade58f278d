import type { StepFees } from '../network/fees.ts';
import { blend, type Gateway, type World } from '../network/world.ts';
import { dollarsNumber, worthNumber } from '../units.ts';

/** What a stopped gateway must expect above its costs to come back. */
const margin = 1.2;

/**
 * A gateway sells what it earned, and stops once that has not paid its machines for as long as its patience lasts. One a step comes
 * back where its part of what gateways earn, or would earn if one were there, pays it with a margin.
 */
export function actGateways(world: World, fees: StepFees): void {
  const running = world.gateways.filter((gateway) => gateway.running).length;
  const ofFees = (dollarsNumber(fees.reachable) * Number(world.rules.fees.gatewayBps)) / 10_000;
  const perDay = (running === 0 ? ofFees : worthNumber(fees.toGateways, world.price)) / world.stepDays;
  for (const gateway of world.gateways) {
    world.books.move(gateway.account, 'market', world.books.balanceOf(gateway.account));
    if (gateway.running) serveOn(world, gateway, perDay / running);
  }
  const next = world.gateways.find((gateway) => !gateway.running);
  if (next === undefined || perDay / (running + 1) < dollarsNumber(next.costPerDay) * margin) return;
  next.running = true;
  next.incomePerDay = perDay / (running + 1);
  next.lossSince = undefined;
}

function serveOn(world: World, gateway: Gateway, income: number): void {
  const cost = dollarsNumber(gateway.costPerDay);
  gateway.incomePerDay = blend(gateway.incomePerDay, income, world.stepDays);
  gateway.lossSince = gateway.incomePerDay >= cost ? undefined : (gateway.lossSince ?? world.day);
  if (gateway.lossSince !== undefined && world.day - gateway.lossSince >= gateway.patienceDays) gateway.running = false;
}
