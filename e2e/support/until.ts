import { setTimeout as wait } from 'node:timers/promises';
import { describeError } from '@cloister/core';

export type UntilOptions = {
  readonly signal: AbortSignal;
  /** Milliseconds after which it fails. Default 30,000. */
  readonly withinMs?: number;
  readonly everyMs?: number;
};

/**
 * Asks again and again until the answer is neither undefined nor false, and returns it. What a probe throws counts as
 * "not yet"; the last of it stands in the error when time is up.
 */
export async function until<T>(
  what: string,
  probe: () => Promise<T | undefined | false> | T | undefined | false,
  options: UntilOptions,
): Promise<T> {
  const deadline = Date.now() + (options.withinMs ?? 30_000);
  let last: unknown;
  for (;;) {
    try {
      const answer = await probe();
      if (answer !== undefined && answer !== false) return answer;
    } catch (error) {
      last = error;
    }
    if (Date.now() > deadline || options.signal.aborted)
      throw last === undefined
        ? new Error(`It did not come to pass that ${what}`)
        : new Error(`It did not come to pass that ${what}; the last try: ${describeError(last)}`, { cause: last });
    await wait(options.everyMs ?? 100);
  }
}
