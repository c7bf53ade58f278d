import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { BodyCoalescer } from '../src/bodyCoalescer.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function coalescer() {
  const sent: string[] = [];
  const joined = new BodyCoalescer(async (bytes) => void sent.push(Buffer.from(bytes).toString()), {
    waitMs: 20,
    enoughBytes: 8,
  });
  return { sent, joined };
}
const text = (value: string) => Buffer.from(value);

test('joins what comes within the time', async () => {
  const { sent, joined } = coalescer();
  await joined.push(text('a'));
  await joined.push(text('b'));
  expect(sent).toEqual([]);
  await vi.advanceTimersByTimeAsync(20);
  expect(sent).toEqual(['ab']);
  await joined.push(text('c'));
  await joined.flush();
  expect(sent).toEqual(['ab', 'c']);
});

test('sends at once what is enough, in order with what waited', async () => {
  const { sent, joined } = coalescer();
  await joined.push(text('ab'));
  await joined.push(text('12345678'));
  expect(sent).toEqual(['ab12345678']);
});

test('flushing nothing sends nothing, and a failure reaches whoever pushes or flushes next', async () => {
  const { sent, joined } = coalescer();
  await joined.flush();
  expect(sent).toEqual([]);
  const failing = new BodyCoalescer(() => Promise.reject(new Error('gone')), { waitMs: 20, enoughBytes: 8 });
  await failing.push(text('a'));
  await vi.advanceTimersByTimeAsync(20);
  await expect(failing.flush()).rejects.toThrow('gone');
});
