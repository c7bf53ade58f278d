import { epochEmission, epochRewardsOf, pha, requiredBond, splitEmission, stepsPerScore } from '@cloister/economics';
import {
  Books,
  builtInFile,
  ConservationError,
  charts,
  parseScenario,
  readScenario,
  simulate,
  toBraille,
  toCsv,
  toSvg,
} from '@cloister/simulator';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { rulesOf } from '../src/network/createWorld.ts';

const builtIn = (name: string, days: number) => ({ ...parseScenario(builtInFile(name)), epochs: days * 24 });

describe('a run', () => {
  test('is the same for the same seed, to the byte, and another for another', () => {
    const scenario = builtIn('lazy-operators', 120);
    const bytes = (seed: number) => {
      const { rows } = simulate({ ...scenario, seed });
      return toCsv(rows) + charts.map((chart) => toSvg(chart, rows, 'x') + toBraille(chart, rows)).join('');
    };
    expect(bytes(7)).toBe(bytes(7));
    expect(bytes(7)).not.toBe(bytes(8));
  });

  test('pays each epoch what epochRewardsOf says, worker by worker, to the unit', () => {
    const machine = { workers: 4, maximumWorkers: 4, ownPha: 300_000, commissionBps: 0 };
    const scenario = readScenario({
      epochs: 1,
      epochsPerStep: 1,
      operators: [
        { behaviour: 'honest', ...machine },
        { behaviour: 'honest', ...machine, score: 777.7, confidenceBps: 5_600, workers: 3 },
        { behaviour: 'honest', ...machine, workersPerMachine: 2 },
      ],
    });
    const rules = rulesOf(scenario);
    const b32 = (value: number) => `0x${value.toString(16).padStart(64, '0')}` as const;
    const address = (value: number) => `0x${value.toString(16).padStart(40, '0')}` as const;
    const workOf = (score: number) => BigInt(Math.round(score * Number(stepsPerScore)));
    const groups = scenario.operators.map((group, index) => ({ group, operator: address(index + 1) }));
    const workers = groups.flatMap(({ group, operator }, of) =>
      Array.from({ length: group.workers }, (_, index) => ({
        workerId: b32(of * 100 + index + 1),
        platformId: b32(of * 100 + Math.floor(index / group.workersPerMachine) + 1),
        operator,
        bond: requiredBond(workOf(group.score), rules.bond),
        confidenceBps: BigInt(group.confidenceBps),
        work: workOf(group.score),
      })),
    );
    const measured = workers.map(({ workerId, work }) => ({
      workerId,
      measuredBy: 3,
      availability: 1_000_000,
      latencyMs: 1,
      work,
    }));
    const budget = splitEmission(epochEmission(0n, 3_600n, true), rules.emission).workers;
    const expected = epochRewardsOf({ epoch: 0n, budget, workers, measured, rules: rules.worth });
    const { world } = simulate(scenario);
    const before = 300_000n * pha;
    const paid = world.operators.map(({ poolAccount }) => world.books.balanceOf(poolAccount) - before);
    expect(paid).toEqual(expected.rewards.map(({ amount }) => amount));
  });

  test('mints nothing for missed epochs but the one before a record, and burns voided ones', () => {
    const run = (network: object) =>
      simulate(readScenario({ ...JSON.parse(builtInFile('baseline')), epochs: 24 * 30, network }));
    const all = run({}).world.books;
    expect(all.burnt).toBe(0n);
    expect(run({ missedEpochsBps: 10_000 }).world.books.issued).toBe(481_600_000n * pha);
    const voided = run({ voidedEpochsBps: 10_000 });
    expect(voided.world.books.burnt).toBeGreaterThan(0n);
    expect(voided.rows.at(-1)?.emissionIncome).toBe(0);
    expect(run({ missedEpochsBps: 3_000 }).world.books.issued).toBeLessThan(all.issued);
  });

  test('conserves PHA, whatever the scenario', () => {
    const behaviour = fc.constantFrom('honest', 'lazy', 'greedy');
    const operator = fc.record({
      behaviour,
      count: fc.integer({ min: 1, max: 4 }),
      workers: fc.integer({ min: 0, max: 20 }),
      maximumWorkers: fc.integer({ min: 0, max: 40 }),
      workersPerMachine: fc.integer({ min: 1, max: 3 }),
      score: fc.integer({ min: 1, max: 10_000 }),
      confidenceBps: fc.integer({ min: 0, max: 10_000 }),
      ownPha: fc.integer({ min: 0, max: 200_000 }),
      commissionBps: fc.integer({ min: 0, max: 5_000 }),
      costDollarsPerDay: fc.integer({ min: 0, max: 200 }),
      patienceDays: fc.integer({ min: 0, max: 30 }),
    });
    const scenario = fc.record({
      seed: fc.nat(),
      epochs: fc.integer({ min: 1, max: 1_200 }),
      epochsPerStep: fc.constantFrom(1, 7, 24, 72),
      parameters: fc.record({
        ownStakeBps: fc.integer({ min: 0, max: 5_000 }),
        unbondingDays: fc.integer({ min: 1, max: 28 }),
        slashEquivocationBps: fc.integer({ min: 5_000, max: 10_000 }),
        slashDowntimeBps: fc.integer({ min: 1, max: 200 }),
        growthPpb: fc.constantFrom(0, 200_000, 1_000_000),
        reporterBps: fc.integer({ min: 0, max: 1_000 }),
      }),
      market: fc.record({
        price: fc.constantFrom(
          { path: 'flat', dollars: 0.1 },
          { path: 'flat', dollars: 0 },
          { path: 'collapse', dollars: 0.1, atDay: 20, overDays: 5, toBps: 100 },
          {
            path: 'points',
            points: [
              [0, 0.01],
              [30, 5],
              [60, 0.001],
            ],
          },
        ),
        demand: fc.constantFrom(
          { path: 'flat', dollars: 5e6 },
          { path: 'flat', dollars: 0 },
          { path: 'grow', dollars: 100, perDayPpm: 50_000 },
        ),
      }),
      network: fc.record({
        missedEpochsBps: fc.integer({ min: 0, max: 3_000 }),
        voidedEpochsBps: fc.integer({ min: 0, max: 3_000 }),
      }),
      operators: fc.array(operator, { maxLength: 3 }),
      delegators: fc.array(
        fc.record({
          count: fc.integer({ min: 1, max: 4 }),
          pha: fc.integer({ min: 0, max: 5_000_000 }),
          requiredYieldBps: fc.integer({ min: 0, max: 10_000 }),
          everyDays: fc.integer({ min: 1, max: 9 }),
          moveBps: fc.integer({ min: 0, max: 10_000 }),
          panicDropBps: fc.integer({ min: 0, max: 10_000 }),
        }),
        { maxLength: 2 },
      ),
      gateways: fc.array(fc.record({ costDollarsPerDay: fc.integer({ min: 0, max: 1_000 }) }), { maxLength: 2 }),
    });
    fc.assert(
      fc.property(scenario, (value) => {
        const { rows, world } = simulate(readScenario(value));
        expect(world.books.issued - world.books.burnt).toBeGreaterThanOrEqual(481_600_000n * pha);
        for (const row of rows) for (const number of Object.values(row)) expect(Number.isFinite(number)).toBe(true);
      }),
      { numRuns: 40 },
    );
  });
});

describe('the books', () => {
  test('refuse what is not there, and what must not be', () => {
    const books = new Books();
    books.issue('a', 5n);
    expect(() => books.move('a', 'b', 6n)).toThrow(expect.objectContaining({ code: 'BOOKS_OVERDRAWN' }));
    expect(() => books.burn('b', 1n)).toThrow(expect.objectContaining({ code: 'BOOKS_OVERDRAWN' }));
    expect(() => books.move('a', 'b', -1n)).toThrow(expect.objectContaining({ code: 'BOOKS_NEGATIVE' }));
    expect(() => books.issue('a', -1n)).toThrow(expect.objectContaining({ code: 'BOOKS_NEGATIVE' }));
    expect(() => books.issue('a', 10n ** 27n)).toThrow(expect.objectContaining({ code: 'BOOKS_CAP_EXCEEDED' }));
    books.move('a', 'a', 5n);
    expect(books.balanceOf('a')).toBe(5n);
  });

  test('say whose custody does not hold what it owes', () => {
    const books = new Books();
    books.issue('pool', 5n);
    books.assertConserved([['pool', 5n]]);
    expect(() => books.assertConserved([['pool', 4n]])).toThrow(ConservationError);
    expect(() => books.assertConserved([['escrow', 1n]])).toThrow(/"escrow" to be "1" units, got "0"/);
  });
});
