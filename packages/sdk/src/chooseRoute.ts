import { CallError } from './callError.ts';
import type { Route, Routes } from './route.ts';

/** For which attempt, and after which one. */
export type NextAttempt = {
  /** From 1 on. */
  readonly attempt: number;
  /** The way that failed before; undefined for the first attempt. */
  readonly tried: Route | undefined;
  /** Whether the app may run twice. */
  readonly isIdempotent: boolean;
  /** Whether it is said that the worker did not open the request: nobody signs that. */
  readonly isKeyRefused: boolean;
};

/**
 * The first route, or after a failure the same worker again, another only where running twice is allowed. Throws CALL_NO_WORKER, CALL_WORKER_LOST.
 */
export function chooseRoute(
  { usable, unusable }: Routes,
  { attempt, tried, isIdempotent, isKeyRefused }: NextAttempt,
): Route {
  const [first] = usable;
  if (tried === undefined) {
    if (first !== undefined) return first;
    throw new CallError(
      'CALL_NO_WORKER',
      unusable.length === 0 ? 'No gateway lists a worker' : `No worker may be used: ${shortened(unusable)}`,
      true,
      undefined,
      unusable.length === 0
        ? 'Check that the network runs, and its gateways in the network file'
        : '"cloister workers --explain" shows every check of every worker',
    );
  }
  const { workerId, receiptSigner } = tried.worker;
  const same = usable.find((route) => route.worker.receiptSigner === receiptSigner);
  const other = isIdempotent && attempt > 2 ? usable.find((route) => route.worker.workerId !== workerId) : undefined;
  const chosen = other ?? same ?? (isIdempotent ? first : undefined);
  if (chosen !== undefined) return chosen;
  if (isKeyRefused)
    throw new CallError(
      'CALL_WORKER_LOST',
      `Worker "${workerId}" refused the key that this client knew of it, and is gone or was started again since`,
      false,
      undefined,
      'By what the gateway passes on it did not run there: call again, unless running twice would be worse than not at all',
    );
  throw new CallError(
    'CALL_WORKER_LOST',
    `Worker "${workerId}" was lost in mid-call and its answer with it`,
    false,
    undefined,
    'It may have run: call again only if running twice is safe, or mark such calls idempotent',
  );
}

/** The first few of what may be many, each of bounded length: gateways may list what they like. */
function shortened(reasons: readonly string[]): string {
  const shown = reasons.slice(0, 3).map((reason) => reason.slice(0, 300));
  const more = reasons.length - shown.length;
  return `${shown.join('; ')}${more > 0 ? `; and ${more} more` : ''}`;
}
