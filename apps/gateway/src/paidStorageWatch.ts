import type { PaidStorage } from '@cloister/chain';
import { type Bytes32, describeError } from '@cloister/core';
import type { Logger } from '@cloister/service';

export type PaidStorageWatchInit = {
  /** What is paid as of now. Throws where the chain can't be read. */
  readonly read: (signal: AbortSignal) => Promise<PaidStorage>;
  readonly everyMs: number;
  readonly log: Logger;
  /** What changed: an epoch, or what is paid. */
  readonly changed: (paid: PaidStorage) => void;
};

/** Epochs for which blobs stay after the last one that was paid. */
export const graceEpochs = 1;

/** Bytes that are kept for an app: what is paid for the epoch of now, or was for the one before. */
export function keptBytesOf(paid: PaidStorage, app: Bytes32): number {
  let most = 0n;
  for (let epoch = Math.max(0, paid.epoch - graceEpochs); epoch <= paid.epoch; epoch++) {
    const bytes = paid.bytesOf(app, epoch);
    if (bytes > most) most = bytes;
  }
  return Number(most);
}

/**
 * What this gateway is paid to keep, as of the last time that the chain could be read. Where it can't, what was known stays: nothing paid
 * is dropped by a chain that is away.
 */
export class PaidStorageWatch {
  readonly #init: PaidStorageWatchInit;
  readonly #stopped = new AbortController();
  #known: PaidStorage | undefined;
  #reading: Promise<PaidStorage> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isAway = false;

  constructor(init: PaidStorageWatchInit) {
    this.#init = init;
  }

  /** Undefined until the chain was read once. */
  get known(): PaidStorage | undefined {
    return this.#known;
  }

  /** Reads now, and again and again until `stop`. */
  start(): void {
    const next = (): void => {
      if (this.#stopped.signal.aborted) return;
      this.#timer = setTimeout(() => void this.refresh().then(next, next), this.#init.everyMs);
      this.#timer.unref();
    };
    void this.refresh().then(next, next);
  }

  stop(): void {
    this.#stopped.abort();
    clearTimeout(this.#timer);
  }

  /** Reads what is paid; who asks meanwhile gets the same answer. Throws where the chain can't be read. */
  refresh(): Promise<PaidStorage> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #read(): Promise<PaidStorage> {
    const { read, log, changed } = this.#init;
    try {
      const paid = await read(this.#stopped.signal);
      if (this.#isAway) log.info('gateway: the chain says again what storage is paid for');
      this.#isAway = false;
      const isNew = paid !== this.#known;
      this.#known = paid;
      if (isNew) changed(paid);
      return paid;
    } catch (error) {
      if (!this.#isAway && !this.#stopped.signal.aborted)
        log.warn('gateway: the chain does not say what storage is paid for; what is paid stays', {
          error: describeError(error),
        });
      this.#isAway = true;
      throw error;
    }
  }
}
