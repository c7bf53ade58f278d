import { CloisterError, sleep } from '@cloister/core';

export type BackoffOptions = {
  /** The first pause is half of this to this. ms. @default 200 */
  readonly baseMs?: number;
  /** Each pause doubles up to this. ms. @default 30_000 */
  readonly maxMs?: number;
  /** 0 to 1. @default Math.random */
  readonly random?: () => number;
};

export type RetryOptions = BackoffOptions & {
  readonly signal?: AbortSignal | undefined;
  /** No attempt begins after so long. ms. */
  readonly withinMs: number;
  /** @default Infinity */
  readonly maxAttempts?: number;
  /** @default a CloisterError says so itself; anything else is tried again */
  readonly shouldRetry?: (error: unknown) => boolean;
  readonly onRetry?: (error: unknown, attempt: number, pauseMs: number) => void;
};

/** The pause after the `attempt`-th failure (from 1): doubling, capped, and random in its upper half. */
export function backoffMs(attempt: number, options: BackoffOptions = {}): number {
  const { baseMs = 200, maxMs = 30_000, random = Math.random } = options;
  const full = Math.min(maxMs, baseMs * 2 ** Math.min(attempt - 1, 30));
  return full * (0.5 + random() / 2);
}

/** Calls `work` until it succeeds, must not be retried, or time or attempts are over: then throws its last error. */
export async function retry<T>(work: (attempt: number) => Promise<T>, options: RetryOptions): Promise<T> {
  const { signal, withinMs, maxAttempts = Number.POSITIVE_INFINITY, shouldRetry = mayRetry, onRetry } = options;
  const startedAt = performance.now();
  for (let attempt = 1; ; attempt++) {
    signal?.throwIfAborted();
    try {
      return await work(attempt);
    } catch (error) {
      const pauseMs = backoffMs(attempt, options);
      const late = performance.now() - startedAt + pauseMs > withinMs;
      if (signal?.aborted === true || late || attempt >= maxAttempts || !shouldRetry(error)) throw error;
      onRetry?.(error, attempt, pauseMs);
      await sleep(pauseMs, signal);
    }
  }
}

function mayRetry(error: unknown): boolean {
  return error instanceof CloisterError ? error.retry : true;
}
