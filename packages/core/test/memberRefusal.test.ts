import { CloisterError, memberRefusedBy } from '@cloister/core';
import { expect, test } from 'vitest';

test('a gatekeeper’s refusal is told as it says it, bounded', () => {
  const refusal = memberRefusedBy({ code: 'KEY_APP_UNKNOWN', message: 'x'.repeat(600) });
  expect(refusal).toBeInstanceOf(CloisterError);
  expect([refusal.code, refusal.message]).toEqual(['KEY_APP_UNKNOWN', 'x'.repeat(500)]);
});

test.each([
  null,
  'text',
  [],
  {},
  { code: 7, message: 7 },
  { code: 'lower' },
  { code: 'A'.repeat(65) },
  { code: 'A B' },
])('of one that says something else, %j, that it refused', (json) => {
  expect(memberRefusedBy(json)).toMatchObject({ code: 'REFUSED', message: 'no reason given' });
});
