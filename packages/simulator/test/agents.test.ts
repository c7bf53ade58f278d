import { pha } from '@cloister/economics';
import { readScenario, simulate } from '@cloister/simulator';
import { describe, expect, test } from 'vitest';
import { lossIfFound } from '../src/agents/greedy.ts';

const honest = { behaviour: 'honest', workers: 4, maximumWorkers: 40, ownPha: 200_000 };
const run = (days: number, scenario: object) => simulate(readScenario({ epochs: days * 24, ...scenario }));
/** So late that a pool of this size yields a half a year, and not all that there is within days. */
const late = { startsAtDay: 5_040, circulatingPha: 400_000_000 };
const flat = (dollars: number) => ({ path: 'flat', dollars });

describe('honest operators', () => {
  test('start workers while these pay, up to what they have machines for', () => {
    const { rows } = run(300, { operators: [honest], delegators: [{ pha: 5_000_000 }] });
    expect(rows[0]?.workers).toBe(4);
    expect(rows.at(-1)?.workers).toBe(40);
  });

  test('never have workers that stake does not cover, with the part that must be their own', () => {
    const { world } = run(300, { operators: [{ ...honest, ownPha: 40_000 }], delegators: [{ pha: 5_000_000 }] });
    const [operator] = world.operators;
    if (operator === undefined) throw new Error('There is no operator');
    const { pool } = operator;
    expect(pool.running).toBeGreaterThan(4);
    expect(pool.runningBonds).toBeLessThanOrEqual(pool.staked.assets + pool.leaving);
    expect(pool.ownAtStake * 10_000n).toBeGreaterThanOrEqual(pool.runningBonds * 2_000n);
  });

  test('stop once they have lost money for as long as their patience lasts', () => {
    const losing = { operators: [{ ...honest, workers: 10, costDollarsPerDay: 1e6, patienceDays: 40 }] };
    expect(run(39, losing).rows.at(-1)?.workers).toBe(10);
    expect(run(60, losing).rows.at(-1)?.workers).toBeLessThan(10);
    expect(run(200, losing).rows.at(-1)?.workers).toBe(0);
  });

  test('pay what they have not earned from outside', () => {
    const { world } = run(30, {
      market: { price: flat(0.000001) },
      operators: [{ ...honest, workers: 10, patienceDays: 365 }],
    });
    expect(Number(world.operators[0]?.outsideDollars) / 1e6).toBeCloseTo(10 * 8 * 30, -2);
  });

  test('ask for more commission where stake comes by itself, and for less where it does not', () => {
    const full = run(120, { operators: [honest], delegators: [{ count: 5, pha: 5_000_000 }] });
    expect(full.world.operators[0]?.pool.commissionBps).toBeGreaterThan(1_000);
    // Some ten PHA a day: worth another worker, and nothing that stakers would come for.
    const late = { startsAtDay: 6_840, circulatingPha: 400_000_000, demand: flat(0) };
    const empty = run(120, {
      market: late,
      operators: [{ ...honest, ownPha: 22_000, workers: 2, costDollarsPerDay: 0 }],
    });
    expect(empty.world.operators[0]?.pool.commissionBps).toBe(500);
  });
});

describe('lazy operators', () => {
  const lazy = { ...honest, behaviour: 'lazy', outageBps: 1_000, workers: 2, maximumWorkers: 2 };
  const others = { ...honest, count: 8 };

  test('earn less than others, and lose a small part of their bonds', () => {
    const { world } = run(120, { operators: [lazy, others] });
    const [worse, better] = world.operators;
    expect(world.slashed).toBeGreaterThan(0n);
    expect(worse?.takePerWorkerDay).toBeLessThan(better?.takePerWorkerDay ?? 0);
    // A worker's bond is 10,954 PHA and an outage costs 55.
    expect(world.slashed).toBeLessThan(120n * 2n * 55n * pha);
  });

  test('lose nothing where a fifth of the network is down', () => {
    const { world } = run(120, { operators: [lazy, { ...lazy, outageBps: 0 }] });
    expect(world.slashed).toBe(0n);
  });
});

describe('greedy operators', () => {
  const greedy = { ...honest, behaviour: 'greedy', opportunityBps: 1_000, detectionBps: 10_000 };
  const cheats = (changes: object, parameters: object = {}) =>
    run(200, {
      operators: [
        { ...greedy, ...changes },
        { ...honest, count: 4 },
      ],
      parameters,
    }).world;

  test('cheat where it brings more than they expect to lose, and never else', () => {
    expect(cheats({ gainDollars: 1e7 }).cheats).toBeGreaterThan(0);
    expect(cheats({ gainDollars: 100 }).cheats).toBe(0);
    expect(cheats({ gainDollars: 100, detectionBps: 0 }).cheats).toBeGreaterThan(0);
  });

  test('lose a whole bond for each proven cheat, which goes to reporter and treasury', () => {
    const world = cheats({ gainDollars: 1e7, opportunityBps: 100 });
    expect(world.detected).toBe(world.cheats);
    const [operator] = world.operators;
    expect(world.slashed).toBe((operator?.bond ?? 0n) * BigInt(world.cheats));
    const settled = world.slashed - world.cases.reduce((sum, { amount }) => sum + amount, 0n);
    expect(world.books.balanceOf('reporters')).toBe(settled / 10n);
  });

  test('fear only for what is their own', () => {
    const world = cheats({ gainDollars: 0, workers: 1, maximumWorkers: 1, ownPha: 11_000 }, { ownStakeBps: 1_000 });
    const [operator] = world.operators;
    if (operator === undefined) throw new Error('There is no operator');
    const loss = lossIfFound(world, operator, 'wrongResult');
    expect(loss).toBeLessThanOrEqual(0.3 * 10_955 * 0.1 + 1);
    expect(lossIfFound(world, operator, 'equivocation')).toBeGreaterThan(loss);
  });

  test('a wrong result costs less than two receipts, so it pays earlier', () => {
    const gain = { gainDollars: 700, ownPha: 2_000_000, maximumWorkers: 4 };
    const late = { market: { startsAtDay: 2_500, circulatingPha: 200_000_000, price: flat(0.1), demand: flat(0) } };
    const of = (proven: number) =>
      run(100, {
        ...late,
        operators: [
          { ...greedy, ...gain, proven },
          { ...honest, count: 30, workers: 18 },
        ],
      }).world.cheats;
    expect(of(0)).toBeGreaterThan(0);
    expect(of(1)).toBe(0);
  });
});

describe('delegators', () => {
  const scenario = (changes: object, market: object = {}) => ({
    operators: [{ ...honest, ownPha: 45_000, count: 3, costDollarsPerDay: 0 }],
    delegators: [{ pha: 1_000_000, ...changes }],
    market: { ...late, demand: flat(0), ...market },
  });
  const staked = (world: ReturnType<typeof simulate>['world']) =>
    world.operators.reduce((sum, { pool }) => sum + pool.worthOf(0), 0n);

  test('stake where it yields what they require, and keep what they have where it does not', () => {
    expect(staked(run(60, scenario({})).world)).toBeGreaterThan(0n);
    const noEmission = { startsAtDay: 36_000 };
    const { world } = run(60, scenario({}, noEmission));
    expect(staked(world)).toBe(0n);
    expect(world.books.balanceOf('delegator 0')).toBe(1_000_000n * pha);
  });

  test('leave and sell when the price falls, and get their stake no sooner than unbonding ends', () => {
    const crash = { price: { path: 'collapse', dollars: 0.1, atDay: 40, overDays: 2, toBps: 1_000 } };
    const fearful = scenario({ everyDays: 1, moveBps: 10_000 }, crash);
    const at = (days: number) => run(days, fearful).world;
    expect(staked(at(40))).toBeGreaterThan(0n);
    const asked = at(43);
    expect(staked(asked)).toBe(0n);
    expect(asked.operators.reduce((sum, { pool }) => sum + pool.leaving, 0n)).toBeGreaterThan(0n);
    expect(at(60).books.balanceOf('market')).toBeGreaterThan(asked.books.balanceOf('market'));
  });

  test('leave a pool whose stake is slashed', () => {
    const operators = [
      {
        ...honest,
        behaviour: 'greedy',
        ownPha: 45_000,
        costDollarsPerDay: 0,
        gainDollars: 20_000,
        opportunityBps: 2_000,
      },
      { ...honest, ownPha: 45_000, costDollarsPerDay: 0, count: 2 },
    ];
    const { world } = run(200, { market: late, operators, delegators: [{ pha: 3_000_000, riskAversion: 50 }] });
    const [cheat, better] = world.operators;
    expect(better?.pool.worthOf(0)).toBeGreaterThan(cheat?.pool.worthOf(0) ?? 0n);
  });
});

describe('gateways', () => {
  const scenario = (demand: object, costDollarsPerDay = 40) => ({
    operators: [{ ...honest, count: 5 }],
    gateways: [{ count: 3, costDollarsPerDay, patienceDays: 30 }],
    market: { demand },
  });

  test('stay while their part of the fees pays them, leave when it does not, and then no call is carried', () => {
    expect(run(200, scenario(flat(2_000))).rows.at(-1)?.gateways).toBe(3);
    const last = run(200, scenario(flat(100))).rows.at(-1);
    expect(last).toMatchObject({ gateways: 0, served: 0, wanted: 100 });
  });

  test('come back when demand does', () => {
    const points = {
      path: 'points',
      points: [
        [0, 100],
        [150, 100],
        [151, 5_000],
      ],
    };
    const { rows } = run(200, scenario(points));
    expect(rows[149]?.gateways).toBe(0);
    expect(rows.at(-1)?.gateways).toBeGreaterThan(0);
  });

  test('are paid their share of what was served, beside operators, gatekeepers and treasury', () => {
    const quiet = { emissionTreasuryBps: 0, emissionGatekeepersBps: 0 };
    const { world } = run(10, { ...scenario(flat(300), 0), parameters: quiet });
    // 300 dollars a day at ten cents are 30,000 PHA in ten days.
    expect(Number(world.books.balanceOf('treasury') / pha)).toBeCloseTo(30_000 * 0.05, -1);
    expect(Number(world.books.balanceOf('gatekeepers') / pha)).toBeCloseTo(30_000 * 0.03, -1);
  });
});
