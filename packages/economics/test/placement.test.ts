import { readFileSync } from 'node:fs';
import { type Bytes32, tagHash } from '@cloister/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { log2, type PlaceableWorker, placementOf, placementTermAt, rendezvousScore } from '../src/index.ts';

const id = (name: string, index: number): Bytes32 => tagHash(`test/${name}: v1`, BigInt(index));
const app = id('app', 1);

function worker(index: number, changes: Partial<PlaceableWorker> = {}): PlaceableWorker {
  return {
    workerId: id('worker', index),
    operator: `0x${(index + 1).toString(16).padStart(40, '0')}`,
    platformId: id('platform', index),
    teeType: 2,
    kinds: 1,
    active: true,
    leaseUntil: 2_000n,
    weight: 1n,
    ...changes,
  };
}

const rules = (changes: Record<string, unknown> = {}) => ({
  kind: 'function' as const,
  placement: { replicas: 2, teeTypes: ['tdx' as const], minTcbEvaluationDataNumber: 0, distinct: [], ...changes },
});

const place = (workers: readonly PlaceableWorker[], changes: Partial<Parameters<typeof placementOf>[0]> = {}) =>
  placementOf({
    app,
    rules: rules(),
    seed: id('seed', 1),
    atStart: workers,
    startsAt: 1_000n,
    holdsNow: () => true,
    ...changes,
  });

describe('the logarithm', () => {
  test('of powers of two is exact', () => {
    for (let power = 0n; power <= 256n; power++) expect(log2(1n << power)).toBe(power << 64n);
  });

  test('lies below the true one by less than 2^-56, which raising to a power shows', () => {
    fc.assert(
      fc.property(fc.bigInt(1n, 2n ** 256n), (value) => {
        const found = log2(value);
        // 2^(found / 2^64) against the value, by Number: 2^-40 of slack for the doubles.
        const difference = Number(found) / 2 ** 64 - (Math.log2(Number(value >> 200n) + 2 ** -60) + 200);
        if (value > 2n ** 250n) expect(Math.abs(difference)).toBeLessThan(1e-9);
      }),
      { numRuns: 300 },
    );
  });

  test('grows with its argument, and that of a product is the sum', () => {
    fc.assert(
      fc.property(fc.bigInt(1n, 2n ** 127n), fc.bigInt(1n, 2n ** 127n), (left, right) => {
        if (left < right) expect(log2(left) <= log2(right)).toBe(true);
        const difference = log2(left * right) - log2(left) - log2(right);
        expect(difference >= -2n && difference <= 4n, String(difference)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});

describe('the line of workers', () => {
  test('scores are fixed for ever', () => {
    expect(rendezvousScore(id('seed', 1), app, id('worker', 1), 1n)).toMatchInlineSnapshot(
      `18270225842334614824244232593269063680n`,
    );
    expect(rendezvousScore(id('seed', 1), app, id('worker', 1), 1_000n)).toMatchInlineSnapshot(
      `18270225842334614824244232593269063n`,
    );
    expect(() => rendezvousScore(app, app, app, 0n)).toThrow(RangeError);
  });

  test('draws in proportion to weight', () => {
    const workers = [worker(0, { weight: 1n }), worker(1, { weight: 3n })];
    let heavy = 0;
    for (let index = 0; index < 2_000; index++)
      if (place(workers, { seed: id('seed', index), rules: rules({ replicas: 1 }) })[0] === workers[1]?.workerId)
        heavy += 1;
    // 1,500 of 2,000 expected; five standard deviations are 97.
    expect(Math.abs(heavy - 1_500)).toBeLessThan(97);
  });

  test('a worker that leaves moves only what it held', () => {
    const workers = Array.from({ length: 12 }, (_, index) => worker(index));
    for (let seed = 0; seed < 100; seed++) {
      const before = place(workers, { seed: id('seed', seed) });
      const gone = workers[seed % 12]?.workerId;
      const after = place(workers, { seed: id('seed', seed), holdsNow: (workerId) => workerId !== gone });
      expect(after).not.toContain(gone);
      expect(after.filter((host) => before.includes(host))).toEqual(before.filter((host) => host !== gone));
    }
  });

  test('does not depend on the order in which workers are listed', () => {
    const workers = Array.from({ length: 6 }, (_, index) => worker(index));
    expect(place([...workers].reverse())).toEqual(place(workers));
  });
});

describe('who may stand in line', () => {
  test.each<[string, Partial<PlaceableWorker>]>([
    ['nobody evicted or retired', { active: false }],
    ['nobody whose lease had ended at the term’s first block', { leaseUntil: 1_000n }],
    ['nobody who does not offer the kind', { kinds: 0b1110 }],
    ['nobody of another TEE type', { teeType: 3 }],
  ])('%s', (_, changes) => {
    expect(place([worker(0, changes), worker(1)])).toEqual([id('worker', 1)]);
  });

  test('distinct platforms, operators, vendors', () => {
    const shared = [worker(0, { platformId: app, operator: `0x${'11'.repeat(20)}` }), worker(1, { platformId: app })];
    const other = worker(2, { operator: `0x${'11'.repeat(20)}`, teeType: 3 });
    const distinct = (...traits: string[]) =>
      place([...shared, other], { rules: rules({ replicas: 3, distinct: traits, teeTypes: ['tdx', 'sev-snp'] }) });
    expect(distinct()).toHaveLength(3);
    expect(distinct('platform').filter((host) => host !== other.workerId)).toHaveLength(1);
    expect(distinct('operator')).toHaveLength(2);
    expect(distinct('vendor')).toHaveLength(2);
    expect(distinct('platform', 'operator', 'vendor').length).toBeLessThanOrEqual(2);
  });
});

describe('terms', () => {
  const clock = { genesis: 1_000n, epochLength: 100n, roundLength: 10n };
  const even: Bytes32 = `0x${'00'.repeat(32)}`;
  const odd: Bytes32 = `0x${'00'.repeat(31)}01`;

  test('the first begins at the deployment, drawn by the round after it', () => {
    expect(placementTermAt(even, 1_234n, 1_299n, clock, 1n)).toEqual({ number: 0n, startsAt: 1_234n, seedRound: 24n });
  });

  test('later ones begin with an epoch, drawn by its first round', () => {
    expect(placementTermAt(even, 1_234n, 1_300n, clock, 1n)).toEqual({ number: 1n, startsAt: 1_300n, seedRound: 30n });
    expect(placementTermAt(even, 1_234n, 1_755n, clock, 1n)).toEqual({ number: 5n, startsAt: 1_700n, seedRound: 70n });
  });

  test('are long where a term has many epochs, and shifted from app to app', () => {
    expect(placementTermAt(even, 1_050n, 3_399n, clock, 24n).number).toBe(0n);
    expect(placementTermAt(even, 1_050n, 3_400n, clock, 24n)).toEqual({
      number: 1n,
      startsAt: 3_400n,
      seedRound: 240n,
    });
    expect(placementTermAt(odd, 1_150n, 3_499n, clock, 24n).number).toBe(0n);
    expect(placementTermAt(odd, 1_150n, 3_500n, clock, 24n)).toEqual({ number: 1n, startsAt: 3_500n, seedRound: 250n });
    // Deployed before the shifted turn of the first term: that turn ends it.
    expect(placementTermAt(odd, 1_050n, 1_100n, clock, 24n)).toEqual({ number: 1n, startsAt: 1_100n, seedRound: 10n });
  });
});

describe('vectors/committee.json', () => {
  const big = new Set([
    'genesis',
    'epochLength',
    'roundLength',
    'now',
    'termEpochs',
    'startsAt',
    'seedRound',
    'number',
    'createdAt',
    'leaseUntil',
    'weight',
    'score',
  ]);
  const { placement } = JSON.parse(
    readFileSync(new URL('../../../vectors/committee.json', import.meta.url), 'utf8'),
    (key, value) => (big.has(key) ? BigInt(value) : value),
  );

  test('terms, scores and hosts are what they were', () => {
    for (const { now, termEpochs, term } of placement.terms)
      expect(placementTermAt(placement.app, placement.createdAt, now, placement.clock, termEpochs)).toEqual(term);
    for (const { workerId, weight, score } of placement.workers)
      expect(rendezvousScore(placement.seed, placement.app, workerId, weight)).toBe(score);
    const { app, seed, startsAt, workers: atStart } = placement;
    expect(placementOf({ app, rules: placement.rules, seed, atStart, startsAt, holdsNow: () => true })).toEqual(
      placement.hosts,
    );
    expect(placement.hosts).toHaveLength(3);
  });
});
