import { expect, test } from 'vitest';
import { kindBits, offeredKinds } from '../src/offeredKinds.ts';

test('a kind with two runtimes is offered once', () => {
  const drivers = [{ kind: 'function' }, { kind: 'function' }, { kind: 'container' }] as const;
  expect(offeredKinds(drivers)).toEqual(['function', 'container']);
  expect(kindBits(drivers)).toBe(0b1001);
});
