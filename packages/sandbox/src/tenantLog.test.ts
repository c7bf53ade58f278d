import { expect, test } from 'vitest';
import { TenantLog } from './tenantLog.ts';

test('keeps the last lines, bounded in number, length and sum', () => {
  const log = new TenantLog();
  for (let index = 0; index < 5000; index += 1) log.add('log', `line ${index}`);
  expect(log.lines().length).toBe(1000);
  expect(log.lines()[0]?.message).toBe('line 4000');
  expect(log.lines().at(-1)?.message).toBe('line 4999');
  for (let index = 0; index < 500; index += 1) log.add('error', 'x'.repeat(100_000));
  const lines = log.lines();
  expect(Math.max(...lines.map(({ message }) => message.length))).toBeLessThanOrEqual(4097);
  expect(lines.reduce((sum, { message }) => sum + message.length, 0)).toBeLessThanOrEqual(256 * 1024);
});
