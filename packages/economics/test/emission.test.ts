import { readFileSync } from 'node:fs';
import { holdsLeaf } from '@cloister/core';
import {
  emissionOfPeriod,
  emissionPeriodSeconds,
  emissionTotal,
  emittedAfter,
  epochEmission,
  firstPeriodEmission,
  pha,
  rewardLeaf,
  splitEmission,
} from '@cloister/economics';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

const day = 86_400n;
const time = fc.bigInt(0n, 60_000n * day);

describe('the schedule', () => {
  test('begins with 720,000 PHA a day, and falls to three quarters every 180 days', () => {
    expect(emittedAfter(0n)).toBe(0n);
    expect(emittedAfter(day)).toBe(720_000n * pha);
    expect(emittedAfter(180n * day)).toBe(129_600_000n * pha);
    expect(emittedAfter(181n * day) - emittedAfter(180n * day)).toBe(540_000n * pha);
    expect([0n, 1n, 2n].map(emissionOfPeriod)).toEqual([129_600_000n * pha, 97_200_000n * pha, 72_900_000n * pha]);
    expect(() => emittedAfter(-1n)).toThrow(RangeError);
  });

  test('ends, below 518.4 million by what every period is rounded down', () => {
    expect(4n * firstPeriodEmission).toBe(518_400_000n * pha);
    const missing = 518_400_000n * pha - emissionTotal();
    expect(missing).toBeGreaterThan(0n);
    expect(missing).toBeLessThan(1_000n);
    expect(emittedAfter(1_000n * emissionPeriodSeconds)).toBe(emissionTotal());
    expect(emissionOfPeriod(1_000n)).toBe(0n);
  });

  test('never brings less later, and no more than its rate', () => {
    fc.assert(
      fc.property(time, time, (one, other) => {
        const [from, to] = one < other ? [one, other] : [other, one];
        const between = emittedAfter(to) - emittedAfter(from);
        expect(between).toBeGreaterThanOrEqual(0n);
        expect(between).toBeLessThanOrEqual(((to - from) * 25n * pha) / 3n + 1n);
      }),
    );
  });
});

describe('an epoch’s emission', () => {
  test('is that of its own time, and of the epoch before where that has no record', () => {
    expect(epochEmission(0n, 3_600n, false)).toBe(30_000n * pha);
    expect(epochEmission(5n, 3_600n, true)).toBe(30_000n * pha);
    expect(epochEmission(5n, 3_600n, false)).toBe(60_000n * pha);
  });

  test('of any epochs with records is together at most the schedule’s', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: 60 }), fc.bigInt(1n, 200n * day), (recorded, length) => {
        const minted = recorded.reduce(
          (sum, has, epoch) => (has ? sum + epochEmission(BigInt(epoch), length, recorded[epoch - 1] ?? false) : sum),
          0n,
        );
        expect(minted).toBeLessThanOrEqual(emittedAfter(BigInt(recorded.length) * length));
        if (recorded.every(Boolean)) expect(minted).toBe(emittedAfter(BigInt(recorded.length) * length));
      }),
    );
  });

  test('is split to the unit, the roundings being the workers’', () => {
    expect(splitEmission(10_001n, { treasuryBps: 2_000n, gatekeepersBps: 500n })).toEqual({
      treasury: 2_000n,
      gatekeepers: 500n,
      workers: 7_501n,
    });
    for (const shares of [
      { treasuryBps: 9_000n, gatekeepersBps: 1_001n },
      { treasuryBps: -1n, gatekeepersBps: 0n },
      { treasuryBps: 0n, gatekeepersBps: -1n },
    ])
      expect(() => splitEmission(1n, shares)).toThrow(RangeError);
  });
});

describe('vectors/emission.json', () => {
  const vectors = JSON.parse(readFileSync(new URL('../../../vectors/emission.json', import.meta.url), 'utf8'));

  test('the schedule, and what epochs may bring', () => {
    expect(emissionTotal()).toBe(BigInt(vectors.total));
    for (const { elapsed, emitted } of vectors.schedule) expect(emittedAfter(BigInt(elapsed))).toBe(BigInt(emitted));
    for (const { epoch, hasRecordBefore, budget, treasury, gatekeepers, workers } of vectors.budgets) {
      const brings = epochEmission(BigInt(epoch), BigInt(vectors.epochLength), hasRecordBefore);
      expect(brings).toBe(BigInt(budget));
      const parts = { treasury: BigInt(treasury), gatekeepers: BigInt(gatekeepers), workers: BigInt(workers) };
      expect(splitEmission(brings, { treasuryBps: 2_001n, gatekeepersBps: 503n })).toEqual(parts);
    }
  });

  test('leaves of rewards and their root', () => {
    const { root, leaves } = vectors.rewards;
    for (const { epoch, operator, amount, leaf, proof } of leaves) {
      expect(rewardLeaf({ epoch: BigInt(epoch), operator, amount: BigInt(amount) })).toBe(leaf);
      expect(holdsLeaf(root, leaf, proof)).toBe(true);
    }
  });
});
