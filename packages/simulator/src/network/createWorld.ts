import { bondFactorOfScore, emittedAfter, requiredBond, stepsPerScore, workerValue } from '@cloister/economics';
import { setCapacity } from '../agents/honest.ts';
import { seededRandom } from '../random.ts';
import { ScenarioError } from '../scenario/readScenario.ts';
import type { OperatorGroup, Scenario } from '../scenario/scenario.ts';
import { microDollarsOf, phaOf, phaUnit } from '../units.ts';
import { Books, issueCap } from './books.ts';
import { Pool } from './pool.ts';
import type { Delegator, Gateway, Operator, Rules, World } from './world.ts';

/** The most operators and delegators together, steps, and days that a run may have. */
const mostAgents = 1_000;
const mostSteps = 50_000;
const mostDays = 36_500;

/** A scenario's first day: genesis issued, agents with their PHA, operators' own stake in, workers started that it covers. Throws SCENARIO_CONTRADICTION. */
export function createWorld(scenario: Scenario): World {
  const steps = stepsOf(scenario);
  if (steps > mostSteps) throw contradiction('epochs', `at most ${mostSteps} steps`, steps);
  const stepDays = (scenario.epochSeconds * scenario.epochsPerStep) / 86_400;
  if (steps * stepDays > mostDays) throw contradiction('epochs', `at most ${mostDays} days`, steps * stepDays);
  const rules = rulesOf(scenario);
  const books = new Books();
  const genesis = phaOf(scenario.market.circulatingPha) + emittedAfter(BigInt(scenario.market.startsAtDay) * 86_400n);
  if (genesis > issueCap)
    throw contradiction('market.circulatingPha', 'within the cap of a billion', genesis / phaUnit);
  books.issue('market', genesis);

  const groups = scenario.operators.flatMap((group) => Array.from({ length: group.count }, () => group));
  const holders = scenario.delegators.flatMap((group) => Array.from({ length: group.count }, () => group));
  if (groups.length + holders.length > mostAgents)
    throw contradiction('operators', `at most ${mostAgents} with delegators`, groups.length + holders.length);
  const owned = [...groups.map(({ ownPha }) => ownPha), ...holders.map(({ pha }) => pha)];
  if (owned.reduce((sum, one) => sum + phaOf(one), 0n) > genesis)
    throw contradiction('market.circulatingPha', 'at least what agents hold', genesis / phaUnit);

  const operators = groups.map((group, index) => createOperator(scenario, rules, group, index));
  for (const operator of operators) {
    const { poolAccount, group, pool, bond } = operator;
    const own = phaOf(group.ownPha);
    books.move('market', poolAccount, own);
    pool.deposit('own', own);
    const workers = Math.min(group.workers, group.maximumWorkers, pool.roomFor(bond).workers);
    if (workers > 0) pool.start(workers, bond);
    setCapacity(operator, group.workers);
  }
  const delegators: Delegator[] = holders.map((group, index) => ({
    index,
    account: `delegator ${index}`,
    group,
    firstDay: index % group.everyDays,
  }));
  for (const { account, group } of delegators) books.move('market', account, phaOf(group.pha));
  const gateways: Gateway[] = scenario.gateways
    .flatMap((group) => Array.from({ length: group.count }, () => group))
    .map(({ costDollarsPerDay, patienceDays }, index) => ({
      account: `gateway ${index}`,
      costPerDay: microDollarsOf(costDollarsPerDay),
      patienceDays,
      running: true,
      incomePerDay: costDollarsPerDay,
      lossSince: undefined,
    }));
  return {
    scenario,
    rules,
    books,
    random: seededRandom(scenario.seed),
    operators,
    delegators,
    gateways,
    cases: [],
    now: 0,
    day: 0,
    stepDays,
    price: 1n,
    priceBefore: 1n,
    slashed: 0n,
    stolen: 0n,
    cheats: 0,
    detected: 0,
  };
}

/** How many steps a scenario has: at least one, whole ones only. */
export function stepsOf({ epochs, epochsPerStep }: Scenario): number {
  return Math.max(1, Math.floor(epochs / epochsPerStep));
}

/** A scenario's parameters in the units of @cloister/economics. */
export function rulesOf({ parameters: given }: Scenario): Rules {
  const bondFactor = bondFactorOfScore(phaOf(given.bondFactorPha));
  return {
    bond: { bondFactor, minimumBond: phaOf(given.minimumBondPha) },
    worth: {
      bondFactor,
      stakeMultiplierBps: BigInt(given.stakeMultiplierBps),
      rigPerWork: phaOf(given.rigPhaPerScore) / stepsPerScore,
      rigBase: 0n,
      maximumValue: phaOf(given.maximumValuePha),
      workWeight: phaOf(given.workPhaPerScore) / stepsPerScore,
    },
    growthPpb: BigInt(given.growthPpb),
    emission: {
      treasuryBps: BigInt(given.emissionTreasuryBps),
      gatekeepersBps: BigInt(given.emissionGatekeepersBps),
    },
    fees: {
      gatewayBps: BigInt(given.feeGatewayBps),
      gatekeepersBps: BigInt(given.feeGatekeepersBps),
      treasuryBps: BigInt(given.feeTreasuryBps),
    },
    slashBps: {
      equivocation: BigInt(given.slashEquivocationBps),
      wrongResult: BigInt(given.slashWrongResultBps),
      downtime: BigInt(given.slashDowntimeBps),
    },
    reporterBps: BigInt(given.reporterBps),
    unbonding: given.unbondingDays * 86_400,
    vetoWindow: given.vetoDays * 86_400,
  };
}

function createOperator(scenario: Scenario, rules: Rules, group: OperatorGroup, index: number): Operator {
  const work = BigInt(Math.round(group.score * Number(stepsPerScore)));
  const bond = requiredBond(work, rules.bond);
  const confidenceBps = BigInt(group.confidenceBps);
  return {
    index,
    account: `operator ${index}`,
    poolAccount: `pool ${index}`,
    owner: group.owner === '' ? `operator ${index}` : group.owner,
    group,
    pool: new Pool(
      { ownStakeBps: BigInt(scenario.parameters.ownStakeBps), unbonding: rules.unbonding },
      group.commissionBps,
    ),
    work,
    confidenceBps,
    bond,
    value: workerValue(bond, work, confidenceBps, rules.worth),
    availability: 1_000_000n,
    downUntil: 0,
    takePerWorkerDay: 0,
    yieldPerDay: 0,
    slashedPerDay: 0,
    lossSince: undefined,
    raisedOn: 0,
    slashedOthers: 0n,
    outsideDollars: 0n,
    stolen: 0n,
    cheats: 0,
  };
}

function contradiction(path: string, expected: string, value: unknown): ScenarioError {
  return new ScenarioError('SCENARIO_CONTRADICTION', path, expected, String(value));
}
