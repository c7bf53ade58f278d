import fc from 'fast-check';
import { expect, test } from 'vitest';
import { heapClassOf } from './processFactory.ts';

const MiB = 1024 * 1024;

test('heap classes hold what they are for, and are few', () => {
  expect([32, 33, 48, 49, 64, 100, 127, 128, 129, 4096].map((size) => heapClassOf(size * MiB))).toEqual([
    32, 48, 48, 64, 64, 128, 128, 128, 192, 4096,
  ]);
  fc.assert(
    fc.property(fc.integer({ min: 32 * MiB, max: 65_536 * MiB }), (bytes) => {
      const size = heapClassOf(bytes) * MiB;
      expect(size).toBeGreaterThanOrEqual(bytes);
      expect(size).toBeLessThan(bytes * 1.5 + 2 * MiB);
    }),
  );
});
