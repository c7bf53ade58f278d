import type { Bytes32 } from '@cloister/core';
import type { StateCommit, StateListed, StateRange, StateRead } from '@cloister/sandbox';
import { StateError, type StateSubject } from '@cloister/state';
import { AppStateError } from './appStateError.ts';
import { type OpenStore, PartitionWriter, type PartitionWriterInit } from './partitionWriter.ts';

export type AppStatesComponents = {
  /** Becomes a partition's writer. */
  readonly open: (subject: StateSubject, signal: AbortSignal) => Promise<OpenStore>;
  /** Asks the app's other hosts for what only the partition's writer can do; undefined where none of them is the writer. */
  readonly elsewhere: (
    subject: StateSubject,
    asked: StateRequest,
    signal: AbortSignal,
  ) => Promise<StateAnswer | undefined>;
};

export type AppStatesInit = PartitionWriterInit & {
  /** Partitions that are held open at once: each may take some 10 MB. */
  readonly maxOpen: number;
  /** How long a partition may be unused before it is closed, in ms. */
  readonly idleMs: number;
  /** How long becoming the writer and reading what there is may take, in ms. */
  readonly openMs: number;
};

/** Which version of which app asks. */
export type StateOwner = { readonly app: Bytes32; readonly manifest: Bytes32; readonly keyVersion: number };

/** What a partition's writer can be asked, by itself or by another host of the app. */
export type StateRequest =
  | { readonly type: 'get'; readonly key: string }
  | ({ readonly type: 'list' } & Omit<StateRange, 'partition'>)
  | ({ readonly type: 'commit' } & Omit<StateCommit, 'partition'>);
export type StateAnswer =
  | ({ readonly type: 'get' } & StateRead)
  | ({ readonly type: 'list' } & StateListed)
  | { readonly type: 'commit' };

type Entry = {
  readonly subject: StateSubject;
  readonly writer: Promise<PartitionWriter>;
  /** Requests that use it now. */
  uses: number;
  usedAtMs: number;
};

export const defaultAppStatesInit: AppStatesInit = {
  maxOpen: 64,
  idleMs: 300_000,
  openMs: 20_000,
  writeMs: 20_000,
  freshMs: 5_000,
  nowMs: () => performance.now(),
};

/** How long a host that was the writer is asked before the committee, in ms. */
const elsewhereMs = 10_000;
const maxElsewhere = 4_096;

/**
 * The partitions of apps' states that this worker is the writer of. One that another host of the app writes is asked there; once that
 * host is silent for as long as the committee keeps its place for it, this one takes over.
 */
export class AppStates {
  readonly #components: AppStatesComponents;
  readonly #init: AppStatesInit;
  readonly #entries = new Map<string, Entry>();
  readonly #closing = new Map<string, Promise<void>>();
  /** Partitions that another host wrote when it was asked last, and until when it is asked first, by `nowMs`. */
  readonly #writtenElsewhere = new Map<string, number>();
  readonly #sweep: NodeJS.Timeout;

  constructor(components: AppStatesComponents, init: AppStatesInit = defaultAppStatesInit) {
    this.#components = components;
    this.#init = init;
    this.#sweep = setInterval(() => this.#closeIdle(), Math.min(60_000, init.idleMs)).unref();
  }

  /**
   * Does it here where this worker is or becomes the writer, or has the writer do it. Throws STATE_HELD where another host has lately
   * written and can't be asked, AppStateError, StateError, KeyClientError.
   */
  async ask(owner: StateOwner, partition: number, asked: StateRequest, signal: AbortSignal): Promise<StateAnswer> {
    const subject = { ...owner, partition };
    const isElsewhere = (this.#writtenElsewhere.get(keyOf(subject)) ?? 0) > this.#init.nowMs();
    const answer = isElsewhere ? await this.#elsewhere(subject, asked, signal) : undefined;
    if (answer !== undefined) return answer;
    try {
      return await this.#here(subject, asked, signal);
    } catch (error) {
      if (!(error instanceof StateError && error.code === 'STATE_HELD') || isElsewhere) throw error;
      const late = await this.#elsewhere(subject, asked, signal);
      if (late === undefined) throw error;
      return late;
    }
  }

  /** The same for another host of the app, by its manifest: undefined where this worker is not the writer; it does not become it. */
  async askedByHost(
    { app, manifest }: Pick<StateOwner, 'app' | 'manifest'>,
    partition: number,
    asked: StateRequest,
    signal: AbortSignal,
  ): Promise<StateAnswer | undefined> {
    const entry = this.#entries.get(keyOf({ app, partition }));
    if (entry === undefined || entry.subject.manifest !== manifest) return undefined;
    try {
      return await this.#use(entry.subject, asked, signal);
    } catch (error) {
      if (isLost(error) && !(error instanceof AppStateError)) return undefined;
      // It was being opened, and another host is the writer.
      if (error instanceof StateError && error.code === 'STATE_HELD') return undefined;
      throw error;
    }
  }

  /** Ends all of them, once what was begun is done. */
  async close(): Promise<void> {
    clearInterval(this.#sweep);
    for (const entry of [...this.#entries.values()]) this.#drop(entry);
    await Promise.all(this.#closing.values());
  }

  async #elsewhere(subject: StateSubject, asked: StateRequest, signal: AbortSignal): Promise<StateAnswer | undefined> {
    const key = keyOf(subject);
    this.#writtenElsewhere.delete(key);
    const answer = await this.#components.elsewhere(subject, asked, signal);
    if (answer === undefined) return undefined;
    this.#writtenElsewhere.set(key, this.#init.nowMs() + elsewhereMs);
    if (this.#writtenElsewhere.size > maxElsewhere)
      this.#writtenElsewhere.delete(this.#writtenElsewhere.keys().next().value as string);
    return answer;
  }

  async #here(subject: StateSubject, asked: StateRequest, signal: AbortSignal): Promise<StateAnswer> {
    try {
      return await this.#use(subject, asked, signal);
    } catch (error) {
      // Another has taken over, or a copy of this worker has written: nothing was done, so it may be done again.
      if (!isLost(error) || error instanceof AppStateError) throw error;
      return this.#use(subject, asked, signal);
    }
  }

  async #use(subject: StateSubject, asked: StateRequest, signal: AbortSignal): Promise<StateAnswer> {
    const entry = this.#entryOf(subject);
    entry.uses += 1;
    try {
      const writer = await abortable(entry.writer, signal);
      return await abortable(perform(writer, asked), signal);
    } catch (error) {
      if (isLost(error)) this.#drop(entry);
      throw error;
    } finally {
      entry.uses -= 1;
      entry.usedAtMs = this.#init.nowMs();
    }
  }

  #entryOf(subject: StateSubject): Entry {
    const key = keyOf(subject);
    const known = this.#entries.get(key);
    if (known !== undefined && isSame(known.subject, subject)) return known;
    // A newer version of the app, or newer keys: its first request ends what the older one had open.
    if (known !== undefined) this.#drop(known);
    this.#makeRoom();
    const opening = this.#open(subject);
    const entry: Entry = { subject, writer: opening, uses: 0, usedAtMs: this.#init.nowMs() };
    this.#entries.set(key, entry);
    opening.catch(() => {
      if (this.#entries.get(key) === entry) this.#entries.delete(key);
    });
    return entry;
  }

  /** Not under the signal of who needs it first: others wait for it too. */
  async #open(subject: StateSubject): Promise<PartitionWriter> {
    // What had it open here ends first: the fence would be taken from under it.
    await this.#closing.get(keyOf(subject));
    const store = await this.#components.open(subject, AbortSignal.timeout(this.#init.openMs));
    return new PartitionWriter(store, this.#init);
  }

  /** Throws STATE_FULL. */
  #makeRoom(): void {
    if (this.#entries.size < this.#init.maxOpen) return;
    const unused = [...this.#entries.values()].filter(({ uses }) => uses === 0);
    const [oldest] = unused.sort((left, right) => left.usedAtMs - right.usedAtMs);
    if (oldest === undefined)
      throw new AppStateError('STATE_FULL', `"${this.#init.maxOpen}" partitions are in use on this worker`);
    this.#drop(oldest);
  }

  #closeIdle(): void {
    const oldestMs = this.#init.nowMs() - this.#init.idleMs;
    for (const entry of this.#entries.values()) if (entry.uses === 0 && entry.usedAtMs < oldestMs) this.#drop(entry);
  }

  #drop(entry: Entry): void {
    const key = keyOf(entry.subject);
    if (this.#entries.get(key) !== entry) return;
    this.#entries.delete(key);
    const closing = entry.writer
      .then((writer) => writer.close())
      .catch(() => {})
      .finally(() => {
        if (this.#closing.get(key) === closing) this.#closing.delete(key);
      });
    this.#closing.set(key, closing);
  }
}

async function perform(writer: PartitionWriter, asked: StateRequest): Promise<StateAnswer> {
  if (asked.type === 'get') return { type: 'get', ...(await writer.get(asked.key)) };
  if (asked.type === 'list') return { type: 'list', ...(await writer.list(asked)) };
  await writer.commit({ ...asked, partition: 0 });
  return { type: 'commit' };
}

/** Whether this worker is the writer no longer. */
function isLost(error: unknown): boolean {
  if (error instanceof AppStateError) return error.code === 'STATE_UNKNOWN' && isLost(error.cause);
  return error instanceof StateError && ['STATE_FENCED', 'STATE_STALE', 'STATE_CLOSED'].includes(error.code);
}

function isSame(left: StateSubject, right: StateSubject): boolean {
  return left.manifest === right.manifest && left.keyVersion === right.keyVersion;
}

function keyOf({ app, partition }: Pick<StateSubject, 'app' | 'partition'>): string {
  return `${app}/${partition}`;
}

/** What was begun goes on when who waits for it has gone. */
function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
