import type { Address, Bytes32 } from '@cloister/core';
import {
  coveredWork,
  type EarningWorker,
  epochRewardsOf,
  type MeasuredWorker,
  minimumBond,
  pha,
  rewardLeaf,
  squareRootDown,
  squareRootUp,
  type WorthRules,
  workerShare,
  workerValue,
} from '@cloister/economics';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

const b32 = (value: number): Bytes32 => `0x${value.toString(16).padStart(64, '0')}`;
const address = (value: number): Address => `0x${value.toString(16).padStart(40, '0')}`;
const rules: WorthRules = {
  bondFactor: 50n * pha,
  stakeMultiplierBps: 15_000n,
  rigPerWork: (36_145n * pha) / 100_000n,
  rigBase: 0n,
  maximumValue: 30_000n * pha,
  workWeight: pha,
};

const worker = (index: number, changes: Partial<EarningWorker> = {}): EarningWorker => ({
  workerId: b32(index),
  platformId: b32(0x100 + index),
  operator: address(index),
  bond: 10_000n * pha,
  confidenceBps: 10_000n,
  ...changes,
});
const measured = (index: number, changes: Partial<MeasuredWorker> = {}): MeasuredWorker => ({
  workerId: b32(index),
  measuredBy: 3,
  availability: 1_000_000,
  latencyMs: 20,
  work: 1_000n,
  ...changes,
});
const rewardsOf = (workers: readonly EarningWorker[], seen: readonly MeasuredWorker[], budget = 1_000n * pha) =>
  epochRewardsOf({ epoch: 7n, budget, workers, measured: seen, rules });

describe('worth', () => {
  test('square roots lie on both sides of the true one', () => {
    fc.assert(
      fc.property(fc.bigInt(0n, 2n ** 200n), (value) => {
        const [down, up] = [squareRootDown(value), squareRootUp(value)];
        expect(down * down <= value && (down + 1n) ** 2n > value).toBe(true);
        expect(up * up >= value && (up === 0n || (up - 1n) ** 2n < value)).toBe(true);
      }),
    );
    expect(() => squareRootDown(-1n)).toThrow(RangeError);
  });

  test('the least bond is k·√P, rounded up', () => {
    expect(minimumBond(100n, rules)).toBe(500n * pha);
    expect(minimumBond(0n, rules)).toBe(0n);
    expect(minimumBond(2n, { bondFactor: 10n })).toBe(15n);
  });

  test('value by stake, machine and confidence, at most the maximum', () => {
    expect(workerValue(100n * pha, 0n, 10_000n, rules)).toBe(150n * pha);
    expect(workerValue(100n * pha, 0n, 5_000n, rules)).toBe(125n * pha);
    expect(workerValue(100n * pha, 0n, 0n, rules)).toBe(100n * pha);
    expect(workerValue(0n, 100_000n, 0n, { ...rules, maximumValue: 1_000_000n * pha })).toBe(36_145n * pha);
    expect(workerValue(1_000_000n * pha, 0n, 0n, rules)).toBe(30_000n * pha);
  });

  test('share by value and work', () => {
    expect(workerShare(6n * pha, 4n, 10_000n, rules)).toBe(10n * pha);
    expect(workerShare(6n * pha, 4n, 0n, rules)).toBe(6n * pha);
  });
});

describe('an epoch’s rewards', () => {
  test('are equal for equal workers, and summed up by pool in the operators’ order', () => {
    const { rewards, total, surplus } = rewardsOf(
      [worker(3), worker(1), worker(2, { operator: address(3) })],
      [measured(1), measured(2), measured(3)],
      301n,
    );
    expect(rewards).toEqual([
      { epoch: 7n, operator: address(1), amount: 100n },
      { epoch: 7n, operator: address(3), amount: 200n },
    ]);
    expect([total, surplus]).toEqual([300n, 1n]);
  });

  test('go to nobody who did not work, was not there, or has too little at stake', () => {
    const least = minimumBond(1_000n, rules);
    const earners = (bond: bigint, seen: readonly MeasuredWorker[]) =>
      rewardsOf([worker(1, { bond })], seen).rewards.length;
    expect(earners(least, [measured(1)])).toBe(1);
    expect(earners(rules.bondFactor, [measured(1)])).toBe(1);
    expect(earners(rules.bondFactor - 1n, [measured(1)])).toBe(0);
    expect(earners(least, [])).toBe(0);
    expect(earners(least, [measured(1, { work: 0n })])).toBe(0);
    expect(earners(least, [measured(1, { availability: 0 })])).toBe(0);
    expect(rewardsOf([], [measured(1)])).toEqual({ rewards: [], total: 0n, surplus: 1_000n * pha });
  });

  test('count no work beyond what the bond covers', () => {
    const workOnly = { ...rules, maximumValue: 0n };
    const bonds = [minimumBond(1_000n, rules), minimumBond(250n, rules)];
    const { rewards } = epochRewardsOf({
      epoch: 7n,
      budget: 500n,
      workers: bonds.map((bond, index) => worker(index, { bond })),
      measured: [0, 1].map((index) => measured(index, { work: 1_000_000n })),
      rules: workOnly,
    });
    expect(rewards.map(({ amount }) => amount)).toEqual([400n, 100n]);
  });

  test('are less for a worker that was there half of the time', () => {
    const { rewards } = rewardsOf([worker(1), worker(2)], [measured(1, { availability: 500_000 }), measured(2)]);
    expect(rewards[0]?.amount).toBeLessThan(rewards[1]?.amount ?? 0n);
  });

  test('a second worker on a machine splits its work', () => {
    // No value, so that the work alone decides.
    const workOnly = { ...rules, maximumValue: 0n };
    const workers = [worker(1), worker(2), worker(3, { platformId: worker(2).platformId })];
    const { rewards } = epochRewardsOf({
      epoch: 7n,
      budget: 400n,
      workers,
      measured: [1, 2, 3].map((index) => measured(index)),
      rules: workOnly,
    });
    expect(rewards.map(({ amount }) => amount)).toEqual([200n, 100n, 100n]);
  });

  test('of a machine are the same however many workers stake on it', () => {
    const machine = b32(0x500);
    const budget = 10n ** 24n;
    const ofMachine = (workers: number) => {
      const there = Array.from({ length: workers }, (_, index) =>
        worker(index + 1, { operator: address(1), platformId: machine }),
      );
      const all = [...there, worker(100, { operator: address(2) })];
      const { rewards } = rewardsOf(
        all,
        all.map((_, index) => measured(index < workers ? index + 1 : 100)),
        budget,
      );
      return rewards.find(({ operator }) => operator === address(1))?.amount ?? 0n;
    };
    const one = ofMachine(1);
    expect(one).toBe(budget / 2n);
    for (const workers of [2, 3, 16]) {
      expect(ofMachine(workers)).toBeLessThanOrEqual(one);
      expect(one - ofMachine(workers)).toBeLessThan(1_000n);
    }
  });

  test('count work as far as the bond covers it', () => {
    const covering = (work: bigint) => minimumBond(work, rules);
    const half = rewardsOf(
      [worker(1, { bond: covering(500n) }), worker(2, { bond: covering(500n) })],
      [measured(1), measured(2, { work: 500n })],
    );
    expect(half.rewards.map(({ amount }) => amount)).toEqual([500n * pha, 500n * pha]);
    expect(rewardsOf([worker(1, { bond: covering(1n) - 1n })], [measured(1)]).total).toBe(0n);
  });

  test('a bond covers the work of which it is the least', () => {
    fc.assert(
      fc.property(fc.bigInt(1n, 2n ** 70n), fc.bigInt(0n, 2n ** 90n), (bondFactor, bond) => {
        const covered = coveredWork(bond, { bondFactor }) ?? 0n;
        expect(minimumBond(covered, { bondFactor })).toBeLessThanOrEqual(bond);
        expect(minimumBond(covered + 1n, { bondFactor })).toBeGreaterThan(bond);
      }),
    );
    expect(coveredWork(5n, { bondFactor: 0n })).toBeUndefined();
  });

  test('refuse a worker twice', () => {
    expect(() => rewardsOf([worker(1), worker(1)], [measured(1)])).toThrow(RangeError);
  });

  test('are together the budget less the surplus, whatever the order', () => {
    const one = fc.record({
      operator: fc.integer({ min: 1, max: 4 }).map(address),
      platformId: fc.integer({ min: 1, max: 5 }).map(b32),
      bond: fc.bigInt(0n, 50_000n * pha),
      confidenceBps: fc.bigInt(0n, 10_000n),
      work: fc.bigInt(0n, 5_000n),
    });
    fc.assert(
      fc.property(fc.array(one, { maxLength: 20 }), fc.bigInt(0n, 10n ** 24n), (all, budget) => {
        const workers = all.map(({ work: _, ...rest }, index) => worker(index, rest));
        const seen = all.map(({ work }, index) => measured(index, { work }));
        const found = rewardsOf(workers, seen, budget);
        expect(found.total + found.surplus).toBe(budget);
        expect(found.rewards.reduce((sum, { amount }) => sum + amount, 0n)).toBe(found.total);
        if (found.total > 0n) expect(found.surplus).toBeLessThan(BigInt(all.length));
        expect(rewardsOf([...workers].reverse(), [...seen].reverse(), budget)).toEqual(found);
      }),
    );
  });

  test('a leaf differs in every field', () => {
    const reward = { epoch: 7n, operator: address(1), amount: 5n };
    for (const change of [{ epoch: 8n }, { operator: address(2) }, { amount: 6n }])
      expect(rewardLeaf({ ...reward, ...change })).not.toBe(rewardLeaf(reward));
  });
});
