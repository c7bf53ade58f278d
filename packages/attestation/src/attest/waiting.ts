import { DeviceError } from './deviceError.ts';

export type WaitOptions = {
  /** Its reason is what the wait rejects with. */
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  /** Whose answer is waited for, to begin a sentence. */
  readonly what: string;
};

/**
 * What `work` comes to, or a rejection as soon as the signal aborts or the time is over: DEVICE_TIMEOUT. The work itself may
 * go on, as a read that the kernel has begun does; its outcome is then dropped.
 */
export async function waitFor<Value>(work: Promise<Value>, options: WaitOptions): Promise<Value> {
  const { signal, timeoutMs, what } = options;
  let onAbort: (() => void) | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const ended = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    timer = setTimeout(() => reject(timedOut(what, timeoutMs)), timeoutMs);
  });
  try {
    signal.throwIfAborted();
    return await Promise.race([work, ended]);
  } finally {
    clearTimeout(timer);
    if (onAbort !== undefined) signal.removeEventListener('abort', onAbort);
    work.catch(() => undefined);
  }
}

function timedOut(what: string, timeoutMs: number): DeviceError {
  return new DeviceError({
    code: 'DEVICE_TIMEOUT',
    message: `${what} gave no answer within "${timeoutMs}" ms`,
    meta: { timeoutMs },
  });
}

/** Lets one piece of work run after the other, and refuses more than `max` of them at once: DEVICE_BUSY. */
export class Turns {
  readonly #max: number;
  readonly #what: string;
  #waiting = 0;
  #last: Promise<void> = Promise.resolve();

  constructor(max: number, what: string) {
    this.#max = max;
    this.#what = what;
  }

  /** Work whose signal aborted before its turn is skipped. */
  take<Value>(work: () => Promise<Value>, signal: AbortSignal): Promise<Value> {
    if (this.#waiting >= this.#max)
      return Promise.reject(
        new DeviceError({
          code: 'DEVICE_BUSY',
          message: `${this.#what} has "${this.#max}" requests before this one`,
          hint: 'Ask again later',
        }),
      );
    this.#waiting += 1;
    const turn = this.#last.then(() => {
      signal.throwIfAborted();
      return work();
    });
    this.#last = turn.then(
      () => this.#ended(),
      () => this.#ended(),
    );
    return turn;
  }

  #ended(): void {
    this.#waiting -= 1;
  }
}
