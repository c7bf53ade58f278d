import { CloisterError } from '@cloister/core';
import { backoffMs, retry } from '@cloister/service';
import { describe, expect, test } from 'vitest';

const failing = (retryable: boolean) => new CloisterError({ code: 'X', message: 'x', retry: retryable });

describe('backoff', () => {
  test('doubles up to its cap, random in the upper half', () => {
    const pauses = (random: number) =>
      [1, 2, 3, 4, 50, 5_000].map((attempt) => backoffMs(attempt, { baseMs: 100, maxMs: 600, random: () => random }));
    expect(pauses(0)).toEqual([50, 100, 200, 300, 300, 300]);
    expect(pauses(1)).toEqual([100, 200, 400, 600, 600, 600]);
  });
});

describe('retry', () => {
  const quick = { baseMs: 1, maxMs: 1, withinMs: 10_000 };

  test('goes on until the work succeeds', async () => {
    const seen: number[] = [];
    const result = await retry(
      async (attempt) => {
        if (attempt < 4) throw failing(true);
        return attempt;
      },
      { ...quick, onRetry: (_, attempt) => seen.push(attempt) },
    );
    expect(result).toBe(4);
    expect(seen).toEqual([1, 2, 3]);
  });

  test('stops at what must not be retried, at the last attempt, and when time is over', async () => {
    let calls = 0;
    const work = (error: unknown) => async () => {
      calls += 1;
      throw error;
    };
    await expect(retry(work(failing(false)), quick)).rejects.toMatchObject({ code: 'X' });
    expect(calls).toBe(1);
    await expect(retry(work(new TypeError('fetch failed')), { ...quick, maxAttempts: 3 })).rejects.toThrow(
      'fetch failed',
    );
    expect(calls).toBe(4);
    await expect(retry(work(failing(true)), { baseMs: 60_000, withinMs: 1_000 })).rejects.toMatchObject({ code: 'X' });
    expect(calls).toBe(5);
  });

  test('an abort ends the pause', async () => {
    const abort = new AbortController();
    const work = retry(async () => Promise.reject(failing(true)), {
      baseMs: 60_000,
      maxMs: 60_000,
      withinMs: 600_000,
      signal: abort.signal,
      onRetry: () => abort.abort(new Error('enough')),
    });
    await expect(work).rejects.toMatchObject({ code: 'ABORTED' });
  });
});
