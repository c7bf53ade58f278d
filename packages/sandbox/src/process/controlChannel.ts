import type { Readable } from 'node:stream';
import { UnixHttpClient } from '../http/unixClient.ts';
import { abortedError, SandboxError, throwIfAborted } from '../sandboxError.ts';
import type { ProcessExit } from './processExit.ts';

/** How the driver tells a process of a runtime what to do: requests that are answered with nothing. */
export class ControlChannel {
  readonly #client: UnixHttpClient;

  constructor(socketPath: string) {
    this.#client = new UnixHttpClient(socketPath);
  }

  close(): void {
    this.#client.close();
  }

  /** Throws PROCESS_FAILED and ABORTED. */
  async tell(path: string, body: Uint8Array, deadlineMs: number, signal: AbortSignal): Promise<void> {
    throwIfAborted(signal);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    let status = 0;
    const exchange = this.#client.send(
      { method: 'POST', path, headers: ['host', 'control.invalid'], body },
      {
        head: (head) => {
          status = head.status;
        },
        data: () => {},
        end: () => (status < 300 ? resolve() : reject(processFailed(`The runtime answered "${status}" to "${path}"`))),
        failed: (error) => reject(processFailed(`The runtime did not take "${path}"`, error)),
      },
    );
    const timer = setTimeout(() => {
      exchange.abort();
      reject(processFailed(`The runtime did not take "${path}" in ${deadlineMs} ms`));
    }, deadlineMs);
    const onAbort = (): void => {
      exchange.abort();
      reject(abortedError(signal));
    };
    signal.addEventListener('abort', onAbort, { once: true });
    await promise.finally(() => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    });
  }
}

export type Listening = {
  /** What the program writes to descriptor 3. */
  readonly control: Readable;
  readonly exited: Promise<ProcessExit>;
  /** Whether this, all that has come so far, says that it listens. */
  readonly says: (text: string) => boolean;
  /** What it printed, for the message of the error. */
  readonly printed: () => readonly string[];
};

const startDeadlineMs = 15_000;

/** Waits until a process listens. Throws PROCESS_FAILED and ABORTED. */
export async function untilListening(
  { control, exited, says, printed }: Listening,
  signal: AbortSignal,
): Promise<void> {
  const limited = AbortSignal.any([signal, AbortSignal.timeout(startDeadlineMs)]);
  let onAbort = (): void => {};
  try {
    await new Promise<void>((resolve, reject) => {
      onAbort = () =>
        reject(signal.aborted ? abortedError(signal) : processFailed('The runtime did not start in time'));
      if (limited.aborted) return onAbort();
      limited.addEventListener('abort', onAbort, { once: true });
      let text = '';
      control.on('data', (chunk: Buffer) => {
        if (text.length < 8192) text += chunk.toString('utf8');
        if (says(text)) resolve();
      });
      void exited.then(({ code, signal: name }) =>
        reject(processFailed(`The runtime ended at its start (${name ?? code}): ${printed().join(' ').slice(0, 500)}`)),
      );
    });
  } finally {
    limited.removeEventListener('abort', onAbort);
  }
}

export function processFailed(message: string, cause?: unknown): SandboxError {
  return new SandboxError({
    code: 'PROCESS_FAILED',
    message,
    retry: true,
    hint: 'Try again; if it goes on, look for a lack of memory or processes on this machine',
    ...(cause === undefined ? {} : { cause }),
  });
}
