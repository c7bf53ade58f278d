import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type Answer, KeptAnswers } from '../src/keptAnswers.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const answer = (bytes: number): Answer =>
  ({ status: 200, headers: [], body: [new Uint8Array(bytes)], receipt: {} }) as unknown as Answer;
/** What an entry costs beside its body. */
const overhead = 4_096;

describe('KeptAnswers', () => {
  test('keeps an answer for its time, then forgets it', async () => {
    const kept = new KeptAnswers({ keepMs: 1_000, maxBytes: 1e6, maxEntries: 10 });
    const made = answer(5);
    kept.begin('a').settle(made);
    vi.advanceTimersByTime(999);
    expect(await kept.find('a')).toBe(made);
    vi.advanceTimersByTime(1);
    expect(kept.find('a')).toBeUndefined();
  });

  test('the default is ten minutes', async () => {
    const kept = new KeptAnswers();
    kept.begin('a').settle(answer(1));
    vi.advanceTimersByTime(600_000 - 1);
    expect(await kept.find('a')).toBeDefined();
    vi.advanceTimersByTime(1);
    expect(kept.find('a')).toBeUndefined();
  });

  test('who asks while a call runs waits for its answer', async () => {
    const kept = new KeptAnswers();
    const entry = kept.begin('a');
    const joined = Promise.all([kept.find('a'), kept.find('a')]);
    const made = answer(5);
    entry.settle(made);
    expect(await joined).toEqual([made, made]);
  });

  test('a running call is never dropped, however long it takes', () => {
    const kept = new KeptAnswers({ keepMs: 10, maxBytes: 1e6, maxEntries: 1 });
    kept.begin('running');
    vi.advanceTimersByTime(1_000_000);
    kept.begin('other').settle(answer(1));
    kept.begin('third').settle(answer(1));
    expect(kept.find('running')).toBeDefined();
  });

  test('a call without an answer is forgotten at once, and those who wait are told so', async () => {
    const kept = new KeptAnswers();
    const entry = kept.begin('a');
    const joined = kept.find('a');
    entry.settle(undefined);
    expect(await joined).toBeUndefined();
    expect(kept.find('a')).toBeUndefined();
  });

  test('the oldest answers make room, by number', async () => {
    const kept = new KeptAnswers({ keepMs: 1_000, maxBytes: 1e6, maxEntries: 3 });
    for (const key of ['a', 'b', 'c', 'd', 'e']) kept.begin(key).settle(answer(1));
    expect(['a', 'b', 'c', 'd', 'e'].map((key) => kept.find(key) !== undefined)).toEqual([
      false,
      false,
      true,
      true,
      true,
    ]);
  });

  test('the oldest answers make room, by bytes', () => {
    const kept = new KeptAnswers({ keepMs: 1_000, maxBytes: 4 * (overhead + 1_000), maxEntries: 100 });
    for (const key of ['a', 'b', 'c', 'd', 'e', 'f']) kept.begin(key).settle(answer(1_000));
    expect(['a', 'b', 'c', 'd', 'e', 'f'].map((key) => kept.find(key) !== undefined)).toEqual([
      ...[false, false],
      ...[true, true, true, true],
    ]);
  });

  test('bytes that were given back count no more', () => {
    const kept = new KeptAnswers({ keepMs: 1_000, maxBytes: 4 * (overhead + 1_000), maxEntries: 100 });
    for (let round = 0; round < 5; round++) {
      for (const key of ['a', 'b', 'c', 'd']) kept.begin(`${key}${round}`).settle(answer(1_000));
      expect(['a', 'b', 'c', 'd'].every((key) => kept.find(`${key}${round}`) !== undefined)).toBe(true);
      vi.advanceTimersByTime(1_000);
    }
  });

  test('what is too large is given to those who wait, but not kept', async () => {
    const kept = new KeptAnswers({ keepMs: 1_000, maxBytes: 4 * overhead, maxEntries: 10 });
    const entry = kept.begin('a');
    const joined = kept.find('a');
    const made = answer(1);
    entry.settle(made);
    expect(await joined).toBe(made);
    expect(kept.find('a')).toBeUndefined();
  });

  test('an answer that ends after everything was cleared is not kept', () => {
    const kept = new KeptAnswers();
    const entry = kept.begin('a');
    kept.begin('b').settle(answer(1));
    kept.clear();
    entry.settle(answer(1));
    expect([kept.find('a'), kept.find('b')]).toEqual([undefined, undefined]);
    expect(vi.getTimerCount()).toBe(0);
  });
});
