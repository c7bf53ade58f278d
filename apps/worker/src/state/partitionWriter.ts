import type { StateCommit, StateListed, StateRange, StateRead } from '@cloister/sandbox';
import { fitsTransaction, StateError, type StateStore, type StateTransaction, transactionBytes } from '@cloister/state';
import { AppStateError } from './appStateError.ts';
import { listTag, valueTag } from './stateTag.ts';

export type OpenStore = Pick<StateStore, 'get' | 'list' | 'transaction' | 'confirm' | 'close'>;

export type PartitionWriterInit = {
  /** How long a write may take, in ms; it goes on when who asked for it has gone. */
  readonly writeMs: number;
  /** How long after the committee's last word values are read without asking it, in ms. */
  readonly freshMs: number;
  /** Milliseconds that only go forward. */
  readonly nowMs: () => number;
};

/** Commits that wait for those before them. */
const maxWaiting = 256;

type Waiting = {
  readonly commit: StateCommit;
  readonly bytes: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
};

/** After these nothing of a write has come into the log, as they are thrown before its head is proposed. */
const leavesNothing: ReadonlySet<string> = new Set([
  'STATE_BLOB_UNSTORED',
  'STATE_TOO_LARGE',
  'STATE_BUSY',
  'STATE_CLOSED',
]);

/**
 * A partition that this worker is the writer of, for all invocations at once: what waits while one head is signed goes into the next one
 * together, each commit judged by what those before it left.
 */
export class PartitionWriter {
  readonly #store: OpenStore;
  readonly #init: PartitionWriterInit;
  readonly #waiting: Waiting[] = [];
  #flushing: Promise<void> | undefined;
  #confirming: Promise<void> | undefined;
  #confirmedMs: number;

  /** `store` was opened just now. */
  constructor(store: OpenStore, init: PartitionWriterInit) {
    this.#store = store;
    this.#init = init;
    this.#confirmedMs = init.nowMs();
  }

  /** Throws as StateStore.get and confirm do. */
  async get(key: string): Promise<StateRead> {
    await this.#fresh();
    const value = this.#store.get(key);
    return { value, tag: valueTag(value) };
  }

  async list({ prefix, after, limit }: Omit<StateRange, 'partition'>): Promise<StateListed> {
    await this.#fresh();
    const keys = this.#store.list(prefix, { after, limit });
    return { keys, tag: listTag(keys) };
  }

  /**
   * Resolves once the committee has signed for the changes; where there are none, once it says that what was read is the newest. Throws
   * STATE_CHANGED, STATE_UNKNOWN, STATE_BUSY and, where nothing has changed, what StateStore.transaction throws.
   */
  commit(commit: StateCommit): Promise<void> {
    return new Promise((resolve, reject) => {
      const bytes = transactionBytes(commit.changes.map(({ key, value }) => [key, value]));
      if (this.#waiting.length >= maxWaiting)
        throw new StateError('STATE_BUSY', `"${maxWaiting}" commits wait for those before them`);
      this.#waiting.push({ commit, bytes, resolve, reject });
      this.#flushing ??= this.#flush().finally(() => {
        this.#flushing = undefined;
      });
    });
  }

  /** Ends it once what waits is done. */
  async close(): Promise<void> {
    await this.#flushing;
    await this.#store.close();
  }

  async #flush(): Promise<void> {
    while (this.#waiting.length > 0) await this.#write(this.#nextBatch());
  }

  /** As many as fit into one transaction, in their order; one always does. */
  #nextBatch(): readonly Waiting[] {
    let [changes, bytes, count] = [0, 0, 0];
    for (const next of this.#waiting) {
      changes += next.commit.changes.length;
      bytes += next.bytes;
      if (count > 0 && !fitsTransaction(changes, bytes)) break;
      count += 1;
    }
    return this.#waiting.splice(0, count);
  }

  async #write(batch: readonly Waiting[]): Promise<void> {
    const signal = AbortSignal.timeout(this.#init.writeMs);
    const beganMs = this.#init.nowMs();
    const standing: Waiting[] = [];
    let isProposed = false;
    try {
      await this.#store.transaction((inside) => {
        for (const one of batch) {
          if (!isAsRead(inside, one.commit)) continue;
          standing.push(one);
          if (apply(inside, one.commit)) isProposed = true;
        }
      }, signal);
      // A head that was signed says as much.
      if (!isProposed) await this.#store.confirm(signal);
      this.#confirmedMs = beganMs;
      for (const one of batch) if (standing.includes(one)) one.resolve();
    } catch (error) {
      const isTooMuch = error instanceof StateError && error.code === 'STATE_TOO_LARGE';
      if (isTooMuch && batch.length > 1) {
        // Of several, one may be what the partition has no room for.
        for (const one of batch) await this.#write([one]);
        return;
      }
      for (const one of standing)
        one.reject(isProposed && one.commit.changes.length > 0 ? unlessNothing(error) : error);
      if (!isProposed && standing.length === 0) for (const one of batch) one.reject(error);
    }
    for (const one of batch) one.reject(changedError());
  }

  /** Makes sure that nobody else has written: the committee's last word on that must not be old. */
  async #fresh(): Promise<void> {
    if (this.#init.nowMs() - this.#confirmedMs < this.#init.freshMs) return;
    const beganMs = this.#init.nowMs();
    this.#confirming ??= this.#store
      .confirm(AbortSignal.timeout(this.#init.writeMs))
      .then(() => {
        this.#confirmedMs = beganMs;
      })
      .finally(() => {
        this.#confirming = undefined;
      });
    await this.#confirming;
  }
}

function isAsRead(inside: StateTransaction, { read, listed }: StateCommit): boolean {
  return (
    read.every(({ key, tag }) => valueTag(inside.get(key)) === tag) &&
    listed.every(({ prefix, after, limit, tag }) => listTag(inside.list(prefix, { after, limit })) === tag)
  );
}

/** Whether anything has become different by it. */
function apply(inside: StateTransaction, { changes }: StateCommit): boolean {
  let isChanged = false;
  for (const { key, value } of changes) {
    if (value !== undefined) inside.put(key, value);
    else if (inside.get(key) === undefined) continue;
    else inside.delete(key);
    isChanged = true;
  }
  return isChanged;
}

/** What a write ended with, for who made it. */
function unlessNothing(error: unknown): unknown {
  if (error instanceof StateError && leavesNothing.has(error.code)) return error;
  return new AppStateError('STATE_UNKNOWN', 'Whether the change holds is not known: read before you repeat it', error);
}

function changedError(): AppStateError {
  return new AppStateError('STATE_CHANGED', 'What the transaction read has changed: nothing of it holds');
}
