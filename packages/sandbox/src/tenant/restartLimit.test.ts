import { expect, test } from 'vitest';
import { RestartLimit } from './restartLimit.ts';

test('a burst, then a steady rate, and never more than the burst', () => {
  let now = 0;
  const limit = new RestartLimit({ burst: 2, perSecond: 1 }, () => now);
  expect([limit.take(), limit.take(), limit.take()]).toEqual([true, true, false]);
  now = 500;
  expect(limit.take()).toBe(false);
  now = 1000;
  expect([limit.take(), limit.take()]).toEqual([true, false]);
  now = 1_000_000;
  expect([limit.take(), limit.take(), limit.take()]).toEqual([true, true, false]);
});
