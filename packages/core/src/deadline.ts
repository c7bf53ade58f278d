import { CloisterError } from './errors.ts';

/**
 * Runs `work` with a signal that aborts after `timeoutMs` or with `signal`, and settles then even if `work` ignores it.
 * Throws DEADLINE_EXCEEDED (retry: true) or ABORTED, naming `what`.
 */
export async function withDeadline<T>(
  options: { readonly timeoutMs: number; readonly signal?: AbortSignal | undefined; readonly what: string },
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { timeoutMs, signal: outer, what } = options;
  if (outer?.aborted) throw new DeadlineError('ABORTED', what, timeoutMs);
  const controller = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let onAbort: (() => void) | undefined;
  const ended = new Promise<never>((_, reject) => {
    const stop = (code: 'DEADLINE_EXCEEDED' | 'ABORTED') => {
      const error = new DeadlineError(code, what, timeoutMs);
      reject(error);
      controller.abort(error);
    };
    timer = setTimeout(() => stop('DEADLINE_EXCEEDED'), timeoutMs);
    onAbort = () => stop('ABORTED');
    outer?.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([work(controller.signal), ended]);
  } finally {
    clearTimeout(timer);
    if (onAbort) outer?.removeEventListener('abort', onAbort);
  }
}

/** Waits `ms`, or throws ABORTED as soon as the signal does. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(new DeadlineError('ABORTED', 'Waiting', ms));
    const onAbort = () => {
      clearTimeout(timer);
      reject(new DeadlineError('ABORTED', 'Waiting', ms));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    }, ms);
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

export class DeadlineError extends CloisterError<'DEADLINE_EXCEEDED' | 'ABORTED'> {
  override readonly name = 'DeadlineError';
  constructor(code: 'DEADLINE_EXCEEDED' | 'ABORTED', what: string, timeoutMs: number) {
    super({
      code,
      message: code === 'ABORTED' ? `${what} was aborted` : `${what} took longer than "${timeoutMs}" ms`,
      meta: { what, timeoutMs },
      retry: code === 'DEADLINE_EXCEEDED',
    });
  }
}
