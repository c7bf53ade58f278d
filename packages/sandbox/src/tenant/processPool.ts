import type { ConfinedProcess } from '../process/confinedProcess.ts';

/** A process without a tenant. */
export type PooledProcess = { readonly confined: ConfinedProcess };

export type ProcessPoolOptions<P extends PooledProcess> = {
  /** How many processes to keep ready. */
  readonly size: number;
  readonly start: (signal: AbortSignal) => Promise<P>;
};

/** A refill waits a little, so that it doesn't take the processor from the call that took the last process. */
const refillDelayMs = 50;
const retryDelayMs = 2000;

/** Processes that were started before anybody needed them. Each is given out once and never comes back. */
export class ProcessPool<P extends PooledProcess> {
  readonly #options: ProcessPoolOptions<P>;
  readonly #ready: P[] = [];
  readonly #stopping = new AbortController();
  #refilling: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ProcessPoolOptions<P>) {
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
  take(): P | undefined {
    let process = this.#ready.shift();
    while (process?.confined.ended) process = this.#ready.shift();
    this.#fillLater(refillDelayMs);
    return process;
  }

  /** As {@link take}, held to this many bytes from now on where it was made for more. */
  takeHeldTo(memoryBytes: number, madeForBytes: number): P | undefined {
    const process = this.take();
    try {
      if (memoryBytes < madeForBytes) process?.confined.limitMemory(memoryBytes);
      return process;
    } catch (error) {
      process?.confined.kill();
      throw error;
    }
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

  #forget(process: P): void {
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
