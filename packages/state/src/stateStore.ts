import { type CertifiedStateHead, type StatePartition, withDeadline } from '@cloister/core';
import type { SecretBytes } from '@cloister/crypto';
import type { HeldFence, StateCommittee, StateSubject } from './committee/stateCommittee.ts';
import {
  maxEntriesToRead,
  maxKeyBytes,
  maxListed,
  maxPartitionBytes,
  maxPartitionKeys,
  maxTransactionBytes,
  maxTransactionChanges,
  maxValueBytes,
  maxWaiting,
  minSnapshotBytes,
  transactionMs,
} from './limits.ts';
import { type Changes, encodeChanges } from './log/changes.ts';
import { sealEntry } from './log/entry.ts';
import { keyBytes, readLog, sizeOf } from './log/readLog.ts';
import { type StateBlobs, storeBlob } from './log/stateBlobs.ts';
import { StateError, type StateErrorCode } from './stateError.ts';

export type StateStoreComponents = {
  readonly committee: Pick<StateCommittee, 'take' | 'add' | 'confirm'>;
  readonly blobs: StateBlobs;
  /** The partition's key of a version of the app's key, 32 bytes: the store wipes it when it is closed. */
  readonly keyOf: (keyVersion: number, signal: AbortSignal) => Promise<SecretBytes>;
};

/** What a transaction sees and changes: its own changes on top of what was acknowledged before it. */
export interface StateTransaction {
  /** A copy of the value; undefined where there is none. */
  get(key: string): Uint8Array | undefined;
  /** Throws STATE_KEY_INVALID, STATE_TOO_LARGE. */
  put(key: string, value: Uint8Array): void;
  delete(key: string): void;
  /** Keys that begin with `prefix`, in ascending order of their UTF-16 units. */
  list(prefix: string, options?: StateListOptions): readonly string[];
}

export type StateListOptions = {
  /** The key after which the list begins. */
  readonly after?: string;
  /** @default 1_000, and no more */
  readonly limit?: number;
};

/** An entry that was proposed and not acknowledged: it may hold, so nothing else can be proposed in its place. */
type Pending = {
  readonly root: CertifiedStateHead['root'];
  readonly values: ReadonlyMap<string, Uint8Array>;
  readonly isSnapshot: boolean;
  readonly bytes: number;
};

/** What ends a store for good: somebody else has written, or may have. */
const losing: ReadonlySet<StateErrorCode> = new Set(['STATE_FENCED', 'STATE_STALE']);

/**
 * One partition of an app's state, opened by its one writer: everything in memory, each transaction one encrypted entry in blob storage
 * whose head the committee signs. A transaction is acknowledged, and seen by others, once it has signed.
 */
export class StateStore {
  readonly #components: StateStoreComponents;
  readonly #subject: StateSubject;
  readonly #keys: Map<number, SecretBytes>;
  #held: HeldFence;
  #values: ReadonlyMap<string, Uint8Array>;
  #entriesSinceSnapshot: number;
  #bytesSinceSnapshot: number;
  #isKeyOld: boolean;
  #pending: Pending | undefined;
  #lost: StateError | undefined;
  #isClosed = false;
  #queue: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  private constructor(
    components: StateStoreComponents,
    subject: StateSubject,
    opened: {
      readonly held: HeldFence;
      readonly keys: Map<number, SecretBytes>;
      readonly log: Awaited<ReturnType<typeof readLog>>;
    },
  ) {
    const { held, keys, log } = opened;
    this.#components = components;
    this.#subject = subject;
    this.#keys = keys;
    this.#held = held;
    this.#values = log.values;
    this.#entriesSinceSnapshot = log.entriesSinceSnapshot;
    this.#bytesSinceSnapshot = log.bytesSinceSnapshot;
    this.#isKeyOld = (log.oldestKeyVersion ?? subject.keyVersion) < subject.keyVersion;
  }

  /**
   * Becomes the partition's writer and reads what was acknowledged. Throws what {@link StateCommittee.take} throws, STATE_BLOB_MISSING,
   * STATE_LOG_INVALID.
   */
  static async open(components: StateStoreComponents, subject: StateSubject, signal: AbortSignal): Promise<StateStore> {
    const keys = new Map<number, SecretBytes>();
    try {
      const held = await components.committee.take(subject, signal);
      const keyOf = (keyVersion: number) => keyFrom(keys, components, keyVersion, signal);
      const log = await readLog({ blobs: components.blobs, keyOf }, held.head, signal);
      return new StateStore(components, subject, { held, keys, log });
    } catch (error) {
      for (const key of keys.values()) key.wipe();
      throw error;
    }
  }

  /** The newest acknowledged head. */
  get head(): CertifiedStateHead {
    return this.#held.head;
  }

  /** Which partition of which app it is. */
  get partition(): StatePartition {
    const { app, partition } = this.#subject;
    return { app, partition };
  }

  /**
   * A copy of an acknowledged value; undefined where there is none. Another writer may have changed it since: see {@link confirm}.
   * Throws STATE_FENCED, STATE_CLOSED.
   */
  get(key: string): Uint8Array | undefined {
    this.#assertOpen();
    return this.#values.get(key)?.slice();
  }

  /** Keys that begin with `prefix`, as of the last acknowledged transaction. Throws STATE_FENCED, STATE_CLOSED. */
  list(prefix: string, options: StateListOptions = {}): readonly string[] {
    this.#assertOpen();
    return listOf(this.#values, prefix, options);
  }

  put(key: string, value: Uint8Array, signal: AbortSignal): Promise<void> {
    return this.transaction((inside) => inside.put(key, value), signal);
  }

  delete(key: string, signal: AbortSignal): Promise<void> {
    return this.transaction((inside) => inside.delete(key), signal);
  }

  /**
   * Runs `work` when all before it are done, and resolves once what it changed is acknowledged: all of it or nothing. If `work` throws, nothing
   * has changed. `work` has 30 seconds. Throws STATE_FENCED, STATE_REFUSED, STATE_BLOB_UNSTORED, STATE_TOO_LARGE, STATE_BUSY, STATE_CLOSED; and
   * STATE_HEAD_UNAVAILABLE, after which it may hold or not: the next transaction begins by finding out.
   */
  transaction<T>(work: (inside: StateTransaction) => T | Promise<T>, signal: AbortSignal): Promise<T> {
    return this.#inTurn(async () => {
      await this.#settle(signal);
      const inside = new OpenTransaction(this.#values);
      const limits = { timeoutMs: transactionMs, signal, what: 'A transaction' };
      const result = await withDeadline(limits, async () => work(inside)).finally(() => inside.end());
      if (inside.changes.length > 0) await this.#commit(inside.changes, signal);
      return result;
    });
  }

  /**
   * Makes sure that what {@link get} and {@link list} say is the newest: nobody has taken over. Throws STATE_FENCED, STATE_STALE,
   * STATE_HEAD_UNAVAILABLE.
   */
  confirm(signal: AbortSignal): Promise<void> {
    return this.#inTurn(async () => {
      await this.#settle(signal);
      await this.#losing(this.#components.committee.confirm(this.#subject, this.#held, signal));
    });
  }

  /** Ends it once what runs is done, and overwrites keys and values in memory. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#queue.catch(() => {});
    for (const key of this.#keys.values()) key.wipe();
    for (const values of [this.#values, this.#pending?.values ?? new Map<string, Uint8Array>()])
      for (const value of values.values()) value.fill(0);
    this.#values = new Map();
    this.#pending = undefined;
  }

  async #commit(changes: Changes, signal: AbortSignal): Promise<void> {
    const values = new Map(this.#values);
    for (const [key, value] of changes) {
      if (value === undefined) values.delete(key);
      else values.set(key, value);
    }
    if (sizeOf(values) > maxPartitionBytes || values.size > maxPartitionKeys)
      throw new StateError(
        'STATE_TOO_LARGE',
        `A partition holds at most "${maxPartitionBytes}" bytes under "${maxPartitionKeys}" keys`,
      );
    const { app, partition, keyVersion } = this.#subject;
    const { head } = this.#held;
    const isSnapshot = this.#isSnapshotDue(sizeOf(values));
    const header = {
      kind: isSnapshot ? 'snapshot' : 'changes',
      ...{ app, partition, keyVersion, version: head.version + 1n, fence: head.fence, previous: head.root },
    } as const;
    const plaintext = encodeChanges(isSnapshot ? [...values].sort(byKey) : changes);
    const key = await keyFrom(this.#keys, this.#components, keyVersion, signal);
    const { root, bytes } = await sealEntry(key, header, plaintext).finally(() => plaintext.fill(0));
    await storeBlob(this.#components.blobs, root, bytes, signal);
    this.#pending = { root, values, isSnapshot, bytes: bytes.length };
    await this.#settle(signal);
  }

  /** Has what was proposed last acknowledged, if it is not yet. */
  async #settle(signal: AbortSignal): Promise<void> {
    const pending = this.#pending;
    if (pending === undefined) return;
    const { committee } = this.#components;
    this.#held = await this.#losing(committee.add(this.#subject, this.#held, pending.root, signal));
    this.#pending = undefined;
    this.#values = pending.values;
    this.#entriesSinceSnapshot = pending.isSnapshot ? 0 : this.#entriesSinceSnapshot + 1;
    this.#bytesSinceSnapshot = pending.isSnapshot ? 0 : this.#bytesSinceSnapshot + pending.bytes;
    if (pending.isSnapshot) this.#isKeyOld = false;
  }

  /** So that opening reads little more than twice what there is, and nothing is left under an old key. */
  #isSnapshotDue(size: number): boolean {
    return (
      this.#isKeyOld ||
      // With the snapshot itself a reader takes so many.
      this.#entriesSinceSnapshot + 2 >= maxEntriesToRead ||
      this.#bytesSinceSnapshot >= Math.max(minSnapshotBytes, size)
    );
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    this.#assertOpen();
    if (this.#waiting >= maxWaiting)
      throw new StateError('STATE_BUSY', `"${maxWaiting}" transactions wait for those before them`);
    this.#waiting += 1;
    const mine = this.#queue.then(() => {
      this.#waiting -= 1;
      this.#assertOpen();
      return work();
    });
    this.#queue = mine.catch(() => {});
    return mine;
  }

  async #losing<T>(asked: Promise<T>): Promise<T> {
    try {
      return await asked;
    } catch (error) {
      if (error instanceof StateError && losing.has(error.code)) this.#lost = error;
      throw error;
    }
  }

  #assertOpen(): void {
    if (this.#lost !== undefined) throw this.#lost;
    if (this.#isClosed) throw new StateError('STATE_CLOSED', 'The partition was closed');
  }
}

class OpenTransaction implements StateTransaction {
  readonly #before: ReadonlyMap<string, Uint8Array>;
  readonly #changed = new Map<string, Uint8Array | undefined>();
  #isOver = false;

  constructor(before: ReadonlyMap<string, Uint8Array>) {
    this.#before = before;
  }

  get(key: string): Uint8Array | undefined {
    this.#assertNotOver();
    return (this.#changed.has(key) ? this.#changed.get(key) : this.#before.get(key))?.slice();
  }

  put(key: string, value: Uint8Array): void {
    assertKey(key);
    assertValue(value);
    this.#set(key, value.slice());
  }

  delete(key: string): void {
    assertKey(key);
    this.#set(key, undefined);
  }

  list(prefix: string, options: StateListOptions = {}): readonly string[] {
    this.#assertNotOver();
    const values = new Map<string, Uint8Array | undefined>(this.#before);
    for (const [key, value] of this.#changed) {
      if (value === undefined) values.delete(key);
      else values.set(key, value);
    }
    return listOf(values, prefix, options);
  }

  /** Afterwards it can't be used. */
  end(): void {
    this.#isOver = true;
  }

  /** What it changed, in the order of its keys. */
  get changes(): Changes {
    return [...this.#changed].filter(([key, value]) => value !== undefined || this.#before.has(key)).sort(byKey);
  }

  #set(key: string, value: Uint8Array | undefined): void {
    this.#assertNotOver();
    const before = this.#changed.get(key);
    const known = this.#changed.has(key);
    this.#changed.set(key, value);
    if (fitsTransaction(this.#changed.size, sizeOf(this.#changed))) return;
    if (known) this.#changed.set(key, before);
    else this.#changed.delete(key);
    throw transactionTooLarge();
  }

  #assertNotOver(): void {
    if (this.#isOver) throw new StateError('STATE_CLOSED', 'The transaction is over');
  }
}

async function keyFrom(
  keys: Map<number, SecretBytes>,
  { keyOf }: StateStoreComponents,
  keyVersion: number,
  signal: AbortSignal,
): Promise<SecretBytes> {
  const known = keys.get(keyVersion);
  if (known !== undefined) return known;
  const key = await keyOf(keyVersion, signal);
  keys.set(keyVersion, key);
  return key;
}

function listOf(
  values: ReadonlyMap<string, unknown>,
  prefix: string,
  { after = '', limit = maxListed }: StateListOptions,
): readonly string[] {
  const keys = [...values.keys()].filter((key) => key.startsWith(prefix) && key > after);
  return keys.sort((left, right) => (left < right ? -1 : 1)).slice(0, Math.min(Math.max(0, limit), maxListed));
}

/** Whether so many changes, of so many bytes in their keys and values, are no more than one transaction may make. */
export function fitsTransaction(changes: number, bytes: number): boolean {
  return changes <= maxTransactionChanges && bytes <= maxTransactionBytes;
}

/**
 * Bytes of the keys and values of changes, each key once, that one transaction can make. Throws STATE_KEY_INVALID and STATE_TOO_LARGE where
 * none can.
 */
export function transactionBytes(changes: Changes): number {
  for (const [key, value] of changes) {
    assertKey(key);
    if (value !== undefined) assertValue(value);
  }
  const bytes = sizeOf(changes);
  if (!fitsTransaction(changes.length, bytes)) throw transactionTooLarge();
  return bytes;
}

function transactionTooLarge(): StateError {
  return new StateError(
    'STATE_TOO_LARGE',
    `A transaction changes at most "${maxTransactionBytes}" bytes under "${maxTransactionChanges}" keys`,
  );
}

function assertValue(value: Uint8Array): void {
  if (value.length > maxValueBytes)
    throw new StateError('STATE_TOO_LARGE', `A value has at most "${maxValueBytes}" bytes, got "${value.length}"`);
}

function assertKey(key: string): void {
  if (!key.isWellFormed()) throw new StateError('STATE_KEY_INVALID', 'A key is text without lone surrogates');
  const length = keyBytes(key);
  if (length < 1 || length > maxKeyBytes)
    throw new StateError('STATE_KEY_INVALID', `A key has 1 to "${maxKeyBytes}" bytes of UTF-8, got "${length}"`);
}

function byKey(left: readonly [string, unknown], right: readonly [string, unknown]): number {
  return left[0] < right[0] ? -1 : 1;
}
