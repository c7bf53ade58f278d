import { BlobError, describeError, readBounded, sleep } from '@cloister/core';
import { CollateralError } from './collateralError.ts';

export type BoundedFetchInit = {
  readonly fetch?: typeof globalThis.fetch | undefined;
  /** For one attempt. Default: 10 s. */
  readonly timeoutMs?: number | undefined;
  /** How often one address is asked. Default: 3. */
  readonly attempts?: number | undefined;
  /** Before the second attempt, doubled before each further one; a service may ask for more. Default: 500 ms. */
  readonly pauseMs?: number | undefined;
  /** The longest pause that a service may ask for. Default: 20 s. */
  readonly maxPauseMs?: number | undefined;
};

export type Fetched = { readonly bytes: Uint8Array; readonly headers: Headers };

/** Statuses that pass: too many requests, and what proxies answer while a service is away. */
const passing = [429, 500, 502, 503, 504];

/**
 * GET with bounds on size, time and attempts; follows no redirect. Waits as long as `Retry-After` asks (RFC 9110 §10.2.3, in
 * seconds), within bounds. Throws COLLATERAL_UNAVAILABLE, COLLATERAL_UNKNOWN_PLATFORM for 404, COLLATERAL_REPLY_TOO_LARGE.
 */
export async function boundedFetch(
  url: string,
  maxBytes: number,
  signal: AbortSignal,
  init: BoundedFetchInit,
): Promise<Fetched> {
  const { timeoutMs = 10_000, attempts = 3, pauseMs = 500, maxPauseMs = 20_000 } = init;
  const fetch = init.fetch ?? globalThis.fetch;
  for (let attempt = 1; ; attempt++) {
    let problem: string;
    let asked = 0;
    let cause: unknown;
    try {
      const response = await fetch(url, {
        redirect: 'error',
        signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
      });
      if (response.status === 200) return { bytes: await readBounded(response, maxBytes), headers: response.headers };
      await response.body?.cancel();
      if (!passing.includes(response.status)) throw refusedBy(url, response.status);
      problem = `it answered ${response.status}`;
      asked = retryAfterMs(response.headers);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof CollateralError) throw error;
      if (error instanceof BlobError) throw tooLarge(url, maxBytes);
      problem = describeError(error);
      cause = error;
    }
    const pause = Math.max(asked, pauseMs * 2 ** (attempt - 1));
    if (attempt >= attempts || pause > maxPauseMs) throw unavailable(url, problem, cause);
    await sleep(pause, signal);
  }
}

function retryAfterMs(headers: Headers): number {
  const text = headers.get('retry-after') ?? '';
  return /^[0-9]{1,6}$/.test(text) ? Number(text) * 1000 : 0;
}

function refusedBy(url: string, status: number): CollateralError {
  return new CollateralError({
    code: status === 404 ? 'COLLATERAL_UNKNOWN_PLATFORM' : 'COLLATERAL_UNAVAILABLE',
    message: `Expected status 200 from "${url}", got "${status}"`,
    meta: { url, status },
    hint:
      status === 404
        ? 'The service does not know this kind of platform; see its version and its address'
        : 'See the address of the collateral service',
  });
}

function unavailable(url: string, problem: string, cause: unknown): CollateralError {
  return new CollateralError({
    code: 'COLLATERAL_UNAVAILABLE',
    message: `Could not get "${url}": ${problem}`,
    meta: { url },
    hint: 'See the address of the collateral service, and whether it can be reached from here',
    cause,
  });
}

function tooLarge(url: string, maxBytes: number): CollateralError {
  return new CollateralError({
    code: 'COLLATERAL_REPLY_TOO_LARGE',
    message: `Expected at most ${maxBytes} bytes from "${url}", more came`,
    meta: { url, maxBytes },
  });
}
