import type { SignedReceipt } from '@cloister/core';

/** A finished answer as it was before sealing. */
export type Answer = {
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: readonly Uint8Array[];
  readonly receipt: SignedReceipt;
};

export type KeptAnswersInit = { readonly keepMs: number; readonly maxBytes: number; readonly maxEntries: number };

type Entry = {
  readonly answer: Promise<Answer | undefined>;
  bytes: number;
  timer: ReturnType<typeof setTimeout> | undefined;
};

/**
 * Answers by (client key, call id), for a client that asks again after a broken connection: it gets the same answer and
 * the same receipt, and nothing runs twice. Bounded in time, number and bytes; what is too large is not kept.
 */
export class KeptAnswers {
  readonly #entries = new Map<string, Entry>();
  readonly #init: KeptAnswersInit;
  #bytes = 0;

  constructor(init: KeptAnswersInit = { keepMs: 600_000, maxBytes: 64 * 1024 * 1024, maxEntries: 10_000 }) {
    this.#init = init;
  }

  /** The answer kept or still being made under this key, or undefined. Resolves undefined if it was not kept in the end. */
  find(key: string): Promise<Answer | undefined> | undefined {
    return this.#entries.get(key)?.answer;
  }

  /** Marks a call as running. Call `settle` of the result exactly once, with undefined if there is nothing to keep. */
  begin(key: string): { settle(answer: Answer | undefined): void } {
    let resolve: (answer: Answer | undefined) => void = () => {};
    const entry: Entry = {
      answer: new Promise((done) => {
        resolve = done;
      }),
      bytes: 0,
      timer: undefined,
    };
    this.#entries.set(key, entry);
    return {
      settle: (answer) => {
        resolve(answer);
        if (this.#entries.get(key) !== entry) return;
        if (answer === undefined) return this.#drop(key);
        entry.bytes = answer.body.reduce((sum, part) => sum + part.length, 4096);
        if (entry.bytes > this.#init.maxBytes / 4) return this.#drop(key);
        this.#bytes += entry.bytes;
        entry.timer = setTimeout(() => this.#drop(key), this.#init.keepMs);
        entry.timer.unref?.();
        this.#makeRoom();
      },
    };
  }

  /** Forgets everything, for shutdown. */
  clear(): void {
    for (const key of [...this.#entries.keys()]) this.#drop(key);
  }

  #makeRoom(): void {
    for (const [key, entry] of this.#entries) {
      if (this.#bytes <= this.#init.maxBytes && this.#entries.size <= this.#init.maxEntries) return;
      if (entry.timer !== undefined) this.#drop(key);
    }
  }

  #drop(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    clearTimeout(entry.timer);
    if (entry.timer !== undefined) this.#bytes -= entry.bytes;
    this.#entries.delete(key);
  }
}
