import { DeadlineError, sleep, withDeadline } from '@cloister/core';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const never = () => new Promise<never>(() => {});

/** A settled promise's outcome, or "pending". */
async function stateOf(promise: Promise<unknown>): Promise<unknown> {
  return Promise.race([
    promise.catch((error: unknown) => (error instanceof DeadlineError ? error.code : error)),
    (async () => {
      for (let turn = 0; turn < 10; turn++) await Promise.resolve();
      return 'pending';
    })(),
  ]);
}

describe('withDeadline', () => {
  test('gives the result, and leaves neither timer nor listener behind', async () => {
    const outer = new AbortController();
    const removed = vi.spyOn(outer.signal, 'removeEventListener');
    await expect(withDeadline({ timeoutMs: 100, signal: outer.signal, what: 'It' }, async () => 7)).resolves.toBe(7);
    expect(vi.getTimerCount()).toBe(0);
    expect(removed).toHaveBeenCalled();
  });

  test('ends at the deadline, also where the work ignores its signal', async () => {
    let seen: AbortSignal | undefined;
    const waiting = withDeadline({ timeoutMs: 100, what: 'Reading' }, (signal) => {
      seen = signal;
      return never();
    });
    waiting.catch(() => {});
    await vi.advanceTimersByTimeAsync(99);
    expect(await stateOf(waiting)).toBe('pending');
    expect(seen?.aborted).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    await expect(waiting).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
      retry: true,
      message: 'Reading took longer than "100" ms',
    });
    expect(seen?.reason).toBeInstanceOf(DeadlineError);
  });

  test('ends when the caller leaves, and is not worth a retry then', async () => {
    const outer = new AbortController();
    let seen: AbortSignal | undefined;
    const waiting = withDeadline({ timeoutMs: 100, signal: outer.signal, what: 'Reading' }, (signal) => {
      seen = signal;
      return never();
    });
    outer.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'ABORTED', retry: false });
    expect(seen?.aborted).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('does not even begin for a caller who has left', async () => {
    const work = vi.fn(never);
    const waiting = withDeadline({ timeoutMs: 100, signal: AbortSignal.abort(), what: 'Reading' }, work);
    await expect(waiting).rejects.toMatchObject({ code: 'ABORTED' });
    expect(work).not.toHaveBeenCalled();
  });

  test('passes a failure on, at once or later', async () => {
    const fails = (work: () => Promise<never>) => withDeadline({ timeoutMs: 100, what: 'It' }, work);
    await expect(fails(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
    await expect(
      fails(() => {
        throw new Error('not even a promise');
      }),
    ).rejects.toThrow('not even a promise');
    expect(vi.getTimerCount()).toBe(0);
  });

  test("a failure after the deadline is nobody's unhandled rejection", async () => {
    const unhandled = vi.fn();
    process.on('unhandledRejection', unhandled);
    let fail: (error: Error) => void = () => {};
    const waiting = withDeadline({ timeoutMs: 10, what: 'It' }, () => new Promise((_, reject) => (fail = reject)));
    waiting.catch(() => {});
    await vi.advanceTimersByTimeAsync(10);
    fail(new Error('too late'));
    vi.useRealTimers();
    await new Promise((resolve) => setTimeout(resolve, 5));
    process.off('unhandledRejection', unhandled);
    expect(unhandled).not.toHaveBeenCalled();
  });
});

describe('sleep', () => {
  test('waits', async () => {
    const sleeping = sleep(50);
    await vi.advanceTimersByTimeAsync(49);
    expect(await stateOf(sleeping)).toBe('pending');
    await vi.advanceTimersByTimeAsync(1);
    await expect(sleeping).resolves.toBeUndefined();
  });

  test('ends when the caller leaves, and leaves nothing behind', async () => {
    const outer = new AbortController();
    const sleeping = sleep(50, outer.signal);
    outer.abort();
    await expect(sleeping).rejects.toMatchObject({ code: 'ABORTED' });
    await expect(sleep(50, outer.signal)).rejects.toMatchObject({ code: 'ABORTED' });
    expect(vi.getTimerCount()).toBe(0);

    const other = new AbortController();
    const removed = vi.spyOn(other.signal, 'removeEventListener');
    const done = sleep(5, other.signal);
    await vi.advanceTimersByTimeAsync(5);
    await done;
    expect(removed).toHaveBeenCalled();
  });
});
