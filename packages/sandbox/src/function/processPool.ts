import type { WorkerdProcess } from './workerdProcess.ts';

export type ProcessPoolOptions = {
  /** How many processes to keep ready. */
  readonly size: number;
  readonly start: (signal: AbortSignal) => Promise<WorkerdProcess>;
};

/** A refill waits a little, so that it doesn't take the processor from the call that took the last process. */
const refillDelayMs = 50;
const retryDelayMs = 2000;

/** Processes that were started before anybody needed them. Each is given out once and never comes back. */
export class ProcessPool {
  readonly #options: ProcessPoolOptions;
  readonly #ready: WorkerdProcess[] = [];
  readonly #stopping = new AbortController();
  #refilling: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ProcessPoolOptions) {
    this.#options = options;
  }

  get readyCount(): number {
    return this.#ready.length;
  }

  /** Starts processes until there are enough. Settles when there are, or when one could not be started. */
  fill(): Promise<void> {
    this.#refilling ??= this.#fill().finally(() => {
      this.#refilling = undefined;
    });
    return this.#refilling;
  }

  /** A process that is ready now, if there is one. */
  take(): WorkerdProcess | undefined {
    let process = this.#ready.shift();
    while (process?.confined.ended) process = this.#ready.shift();
    this.#fillLater(refillDelayMs);
    return process;
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    clearTimeout(this.#timer);
    await this.#refilling;
    await Promise.all(
      this.#ready.splice(0).map(async ({ confined }) => {
        confined.kill();
        await confined.exited;
      }),
    );
  }

  async #fill(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted && this.#ready.length < this.#options.size) {
      try {
        const process = await this.#options.start(signal);
        this.#ready.push(process);
        void process.confined.exited.then(() => this.#forget(process));
      } catch {
        // A call that finds the pool empty starts a process itself, and learns why that fails.
        this.#fillLater(retryDelayMs);
        return;
      }
    }
  }

  #forget(process: WorkerdProcess): void {
    const index = this.#ready.indexOf(process);
    if (index === -1) return;
    this.#ready.splice(index, 1);
    this.#fillLater(retryDelayMs);
  }

  #fillLater(delayMs: number): void {
    if (this.#stopping.signal.aborted) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.fill(), delayMs).unref();
  }
}
