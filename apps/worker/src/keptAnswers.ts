import { CloisterError, type SignedReceipt } from '@cloister/core';

/** How an answer ended, apart from its body. */
export type AnswerEnd = {
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly receipt: SignedReceipt;
};

/** A finished answer as it was before sealing. */
export type Answer = AnswerEnd & { readonly body: readonly Uint8Array[] };

/** What asking again gives: the answer, or that it was made but is no longer there. */
export type KeptAnswer = Answer | 'gone';

export type KeptAnswersInit = {
  /** How long a call is remembered after its end, in milliseconds. */
  readonly keepMs: number;
  /** Bytes of all bodies, those being made included. */
  readonly maxBytes: number;
  /** Bytes of one body. */
  readonly maxAnswerBytes: number;
  /** Ended calls that are remembered, with or without their answer. */
  readonly maxEntries: number;
};

const MiB = 1024 * 1024;
const defaults: KeptAnswersInit = {
  keepMs: 600_000,
  maxBytes: 128 * MiB,
  maxAnswerBytes: 16 * MiB,
  maxEntries: 100_000,
};

/**
 * Answers by (client key, call id), for a client that asks again after a broken connection: it gets the same answer and
 * the same receipt. A call whose answer could not be kept is remembered all the same, so that nothing runs twice.
 */
export class KeptAnswers {
  readonly #calls = new Map<string, RecordedCall>();
  readonly #init: KeptAnswersInit;
  #bytes = 0;

  constructor(init: Partial<KeptAnswersInit> = {}) {
    this.#init = { ...defaults, ...init };
  }

  /** The call under this key, ended or not; undefined if none began. There must be no await between this and `begin`. */
  find(key: string): RecordedCall | undefined {
    return this.#calls.get(key);
  }

  /** Marks a call as running. Throws ANSWER_BEGUN for a key that `find` knows. */
  begin(key: string): RecordedCall {
    if (this.#calls.has(key)) throw new KeptAnswersError();
    const call = new RecordedCall({
      maxBytes: this.#init.maxAnswerBytes,
      grew: (bytes) => {
        this.#bytes += bytes;
        if (bytes > 0) this.#dropBodies();
      },
      ended: () => {
        const timer = setTimeout(() => this.#forget(key, call), this.#init.keepMs);
        timer.unref?.();
        this.#forgetOldest();
      },
    });
    this.#calls.set(key, call);
    return call;
  }

  /** Forgets everything, for shutdown. */
  clear(): void {
    for (const [key, call] of this.#calls) this.#forget(key, call);
  }

  /** Oldest answers first; the calls themselves stay known. */
  #dropBodies(): void {
    for (const call of this.#calls.values()) {
      if (this.#bytes <= this.#init.maxBytes) return;
      call.drop();
    }
  }

  #forgetOldest(): void {
    for (const [key, call] of this.#calls) {
      if (this.#calls.size <= this.#init.maxEntries) return;
      if (call.hasEnded) this.#forget(key, call);
    }
  }

  #forget(key: string, call: RecordedCall): void {
    call.drop();
    if (this.#calls.get(key) === call) this.#calls.delete(key);
  }
}

type RecordedCallInit = {
  readonly maxBytes: number;
  readonly grew: (bytes: number) => void;
  readonly ended: () => void;
};

/** One call's answer, while it is made and after. */
export class RecordedCall {
  readonly #init: RecordedCallInit;
  readonly #finished: Promise<void>;
  #finish: () => void = () => {};
  #body: Uint8Array[] | undefined = [];
  #bytes = 0;
  #end: AnswerEnd | undefined;
  #ended = false;

  constructor(init: RecordedCallInit) {
    this.#init = init;
    this.#finished = new Promise((resolve) => {
      this.#finish = resolve;
    });
  }

  get hasEnded(): boolean {
    return this.#ended;
  }

  /** Waits for the end, and answers what is there then. */
  async answer(): Promise<KeptAnswer> {
    await this.#finished;
    return this.#end === undefined || this.#body === undefined ? 'gone' : { ...this.#end, body: this.#body };
  }

  /** A part of the body, in order. Beyond the limits nothing is held: then the answer won't be kept. */
  add(bytes: Uint8Array): void {
    if (this.#body === undefined) return;
    this.#body.push(bytes);
    this.#bytes += bytes.length;
    this.#init.grew(bytes.length);
    if (this.#bytes > this.#init.maxBytes) this.drop();
  }

  /** How it ended, exactly once; undefined where it broke off. */
  settle(end: AnswerEnd | undefined): void {
    this.#end = end;
    this.#ended = true;
    if (end === undefined) this.drop();
    this.#finish();
    this.#init.ended();
  }

  /** Gives the body's memory back. */
  drop(): void {
    if (this.#body === undefined) return;
    this.#body = undefined;
    const held = this.#bytes;
    this.#bytes = 0;
    this.#init.grew(-held);
  }
}

export class KeptAnswersError extends CloisterError<'ANSWER_BEGUN'> {
  override readonly name = 'KeptAnswersError';
  constructor() {
    super({ code: 'ANSWER_BEGUN', message: 'The call has begun before' });
  }
}
