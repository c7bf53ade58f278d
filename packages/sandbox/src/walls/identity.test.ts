import { expect, test } from 'vitest';
import { IdentityPool } from './identity.ts';

test('gives every process another user, outside of what systems use', () => {
  const pool = new IdentityPool('         0          0 4294967295');
  const ids = Array.from({ length: 1000 }, () => pool.take().uid);
  expect(new Set(ids).size).toBe(1000);
  expect(Math.min(...ids)).toBeGreaterThanOrEqual(0x7000_0000);
});

test('stays within the ids that a container has', () => {
  const pool = new IdentityPool('0 100000 65536');
  for (let index = 0; index < 1000; index += 1) {
    const { uid, gid } = pool.take();
    expect(uid).toBeGreaterThanOrEqual(1);
    expect(uid).toBeLessThan(65_536);
    expect(gid).toBe(uid);
  }
});

test('gives no root even where there is hardly any id', () => {
  for (const map of ['', '0 0 1', '0 1000 1', 'nonsense'])
    expect(new IdentityPool(map).take().uid).toBeGreaterThanOrEqual(1);
});
