import { pha } from '@cloister/economics';
import { Pool } from '@cloister/simulator';
import { describe, expect, test } from 'vitest';

const day = 86_400;
const newPool = (own = 1_000n, others = 2_000n) => {
  const pool = new Pool({ ownStakeBps: 1_000n, unbonding: 7 * day }, 1_000);
  pool.deposit('own', own * pha);
  if (others > 0n) pool.deposit(0, others * pha);
  return pool;
};
const sumOf = (claims: readonly { readonly assets: bigint }[]) => claims.reduce((sum, { assets }) => sum + assets, 0n);

describe('a pool', () => {
  test('shares what it earns after commission by stake', () => {
    const pool = newPool();
    expect(pool.earn(300n * pha)).toBe(30n * pha);
    expect(pool.worthOf('own') / pha).toBe(1_089n);
    expect(pool.worthOf(0) / pha).toBe(2_179n);
    expect(pool.held).toBe(3_270n * pha);
  });

  test('lets earnings wait while next to nothing is staked', () => {
    const pool = new Pool({ ownStakeBps: 0n, unbonding: day }, 0);
    pool.earn(10n * pha);
    expect([pool.staked.assets, pool.held]).toEqual([0n, 10n * pha]);
    pool.deposit(0, pha);
    pool.earn(1n);
    expect(pool.staked.assets).toBe(11n * pha + 1n);
  });

  test('covers workers by all stake, and by the own part', () => {
    expect(newPool().roomFor(100n * pha)).toEqual({ workers: 30, byOwnStake: 100 });
    expect(newPool(100n, 5_000n).roomFor(100n * pha)).toEqual({ workers: 10, byOwnStake: 10 });
    expect(newPool(0n, 5_000n).roomFor(100n * pha).workers).toBe(0);
  });

  test('pays who leaves after unbonding, others before the operator, and nobody below the bonds', () => {
    const pool = newPool();
    pool.start(10, 100n * pha);
    pool.requestRedeem('own', pool.shares.get('own') ?? 0n, 0);
    pool.requestRedeem(0, pool.shares.get(0) ?? 0n, day);
    expect(pool.claim(7 * day - 1)).toEqual([]);
    const first = pool.claim(8 * day);
    expect(first.map(({ holder }) => holder)).toEqual([0]);
    expect(sumOf(first) / pha).toBe(2_000n);
    // A thousand of bonds still need the operator's own.
    expect(pool.claim(100 * day)).toEqual([]);
    pool.stop(10, 100 * day);
    expect(pool.claim(106 * day)).toEqual([]);
    pool.settleBonds(107 * day);
    expect(sumOf(pool.claim(107 * day)) / pha).toBe(1_000n);
  });

  test('stops workers that keep somebody who asked unbonding ago', () => {
    const pool = newPool();
    pool.start(25, 100n * pha);
    pool.requestRedeem(0, pool.shares.get(0) ?? 0n, 0);
    expect(pool.settleBonds(7 * day - 1)).toBe(0);
    expect(pool.settleBonds(7 * day)).toBe(15);
    expect(sumOf(pool.claim(7 * day))).toBe(0n);
    pool.settleBonds(14 * day);
    expect(sumOf(pool.claim(14 * day)) / pha).toBe(2_000n);
    expect(pool.running).toBe(10);
  });

  test('burns the operator’s own first, pauses claims while a slash is open, and takes no deposit', () => {
    const pool = newPool();
    pool.start(20, 100n * pha);
    pool.requestRedeem(0, (pool.shares.get(0) ?? 0n) / 2n, 0);
    expect(pool.seize(1_300n * pha, 1, day)).toEqual({ moved: 1_300n * pha, own: 1_000n * pha });
    expect(pool.worthOf('own')).toBe(0n);
    expect(pool.isOpen).toBe(false);
    expect(pool.claim(8 * day)).toEqual([]);
    pool.settleSeizure();
    expect(pool.isOpen).toBe(true);
    // Without own stake no worker may run.
    expect(pool.settleBonds(8 * day)).toBe(19);
    pool.settleBonds(15 * day);
    expect(sumOf(pool.claim(15 * day)) / pha).toBe(850n);
  });

  test('closes once slashes took all but a millionth', () => {
    const pool = newPool();
    pool.start(1, 100n * pha);
    expect(pool.seize(10_000n * pha, 0, 0).moved).toBe(3_000n * pha);
    expect(pool.closed).toBe(true);
    expect(pool.room).toBe(0n);
    expect(pool.settleBonds(1)).toBe(1);
  });
});
