import { splitFees } from '@cloister/economics';
import { microDollarsOf, phaForDown } from '../units.ts';
import type { Operator, World } from './world.ts';

const million = 1_000_000n;

/** What was paid in a step. Dollars in millionths. */
export type StepFees = {
  readonly wanted: bigint;
  readonly served: bigint;
  /** What workers could have served, had a gateway carried it. */
  readonly reachable: bigint;
  readonly byOperator: ReadonlyMap<Operator, bigint>;
  /** To all gateways, in PHA's smallest unit. */
  readonly toGateways: bigint;
};

/**
 * Pays for the step's calls: as much of the demand as workers can serve, bought at the step's price, spread over operators by bonds of
 * workers that were there, as placement draws them. Without a gateway nobody is reached. Each part is rounded down, as `FeeLedger` does.
 * @param wantedPerDay millionths of a dollar
 */
export function payStep(world: World, wantedPerDay: bigint): StepFees {
  const { operators, books, rules } = world;
  const perStep = (perDay: bigint) => (perDay * BigInt(Math.round(world.stepDays * 1_000_000))) / million;
  const wanted = perStep(wantedPerDay);
  const there = operators
    .filter(({ pool, availability }) => pool.running > 0 && availability > 0n)
    .map((operator) => {
      const { pool, group, availability } = operator;
      const machines = microDollarsOf(group.feeCapacityDollarsPerDay) * BigInt(pool.running);
      return {
        operator,
        weight: (pool.runningBonds * availability) / million,
        capacity: (perStep(machines) * availability) / million / BigInt(group.workersPerMachine),
      };
    });
  const perOperator = spread(wanted, there);
  const canServe = perOperator.reduce((sum, part) => sum + part, 0n);
  const open = world.gateways.filter(({ running }) => running);
  const byOperator = new Map<Operator, bigint>();
  const affordable = phaForDown(canServe, world.price) <= books.balanceOf('market');
  if (open.length === 0 || canServe === 0n || !affordable)
    return { wanted, served: 0n, reachable: canServe, byOperator, toGateways: 0n };

  let toGateways = 0n;
  for (const [index, { operator }] of there.entries()) {
    const part = splitFees(phaForDown(perOperator[index] ?? 0n, world.price), rules.fees, true);
    books.move('market', 'gatekeepers', part.gatekeepers);
    books.move('market', 'treasury', part.treasury);
    books.move('market', operator.poolAccount, part.operator);
    books.move(operator.poolAccount, operator.account, operator.pool.earn(part.operator));
    byOperator.set(operator, part.operator);
    toGateways += part.gateway;
  }
  let left = toGateways;
  for (const [index, gateway] of open.entries()) {
    const part = left / BigInt(open.length - index);
    books.move('market', gateway.account, part);
    left -= part;
  }
  return { wanted, served: canServe, reachable: canServe, byOperator, toGateways };
}

/** Rounds in which what found no room is offered to the others. */
const rounds = 4;

/** Divides an amount by weights, each part at most its capacity, rounded down. */
function spread(
  amount: bigint,
  among: readonly { readonly weight: bigint; readonly capacity: bigint }[],
): readonly bigint[] {
  const parts = among.map(() => 0n);
  let left = amount;
  for (let round = 0; round < rounds && left > 0n; round += 1) {
    const hasRoom = (index: number) => (parts[index] ?? 0n) < (among[index]?.capacity ?? 0n);
    const sum = among.reduce((before, { weight }, index) => (hasRoom(index) ? before + weight : before), 0n);
    if (sum === 0n) break;
    const offered = left;
    for (const [index, { weight, capacity }] of among.entries()) {
      if (!hasRoom(index)) continue;
      const room = capacity - (parts[index] ?? 0n);
      const part = (offered * weight) / sum;
      const taken = part < room ? part : room;
      parts[index] = (parts[index] ?? 0n) + taken;
      left -= taken;
    }
  }
  return parts;
}
