import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { CloisterError } from '@cloister/core';
import { sha256, toHex, utf8 } from '@cloister/crypto';
import type { StateCommit, StateKey, StateListed, StateRange, StateRead, StateService } from '@cloister/sandbox';
import { maxListed, maxPartitionBytes, maxPartitionKeys, transactionBytes } from '@cloister/state';

export type LocalStateInit = {
  readonly partitions: number;
  /** Where partitions are kept, one file each; undefined: in memory, as long as the command runs. */
  readonly folder: string | undefined;
};

type Partition = Map<string, Uint8Array>;

/**
 * An app's state on a developer's machine, within the limits that hold on a network: nobody signs for it, and nothing is encrypted. It
 * outlives reloads, and the command where it has a folder.
 */
export class LocalState implements StateService {
  readonly #init: LocalStateInit;
  readonly #partitions = new Map<number, Promise<Partition>>();
  #committing: Promise<void> = Promise.resolve();

  constructor(init: LocalStateInit) {
    this.#init = init;
  }

  /** @inheritdoc */
  async get({ partition, key }: StateKey): Promise<StateRead> {
    const value = (await this.#partition(partition)).get(key);
    return { value: value?.slice(), tag: tagOf(value) };
  }

  /** @inheritdoc */
  async list({ partition, ...range }: StateRange): Promise<StateListed> {
    const keys = listed(await this.#partition(partition), range);
    return { keys, tag: toHex(sha256(utf8(JSON.stringify(keys)))) };
  }

  /** @inheritdoc */
  commit(commit: StateCommit): Promise<void> {
    // One after the other: what is read is still so when it is written.
    const done = this.#committing.then(() => this.#commit(commit));
    this.#committing = done.catch(() => {});
    return done;
  }

  async #commit({ partition: number, read, listed: lists, changes }: StateCommit): Promise<void> {
    const partition = await this.#partition(number);
    transactionBytes(changes.map(({ key, value }) => [key, value]));
    for (const { key, tag } of read) if (tagOf(partition.get(key)) !== tag) throw changed();
    for (const { tag, ...range } of lists)
      if ((await this.list({ partition: number, ...range })).tag !== tag) throw changed();
    const next: Partition = new Map(partition);
    for (const { key, value } of changes) {
      if (value === undefined) next.delete(key);
      else next.set(key, value.slice());
    }
    const bytes = [...next].reduce((sum, [key, value]) => sum + utf8(key).length + value.length, 0);
    if (bytes > maxPartitionBytes || next.size > maxPartitionKeys)
      throw new LocalStateError(
        'STATE_FULL',
        `A partition has at most "${maxPartitionBytes}" bytes under "${maxPartitionKeys}" keys`,
      );
    await this.#keep(number, next);
    this.#partitions.set(number, Promise.resolve(next));
  }

  #partition(number: number): Promise<Partition> {
    const { partitions } = this.#init;
    if (number >= partitions)
      throw new LocalStateError(
        'STATE_PARTITION_UNKNOWN',
        `The app's state has "${partitions}" partitions, from 0 on, got number "${number}"`,
      );
    let known = this.#partitions.get(number);
    if (known === undefined) {
      known = this.#read(number);
      this.#partitions.set(number, known);
      known.catch(() => this.#partitions.delete(number));
    }
    return known;
  }

  #file(number: number): string | undefined {
    return this.#init.folder && path.join(this.#init.folder, `partition-${number}.json`);
  }

  async #read(number: number): Promise<Partition> {
    const file = this.#file(number);
    if (file === undefined) return new Map();
    let text: string;
    try {
      text = await readFile(file, 'utf8');
    } catch (error) {
      if ((error as { code?: unknown }).code === 'ENOENT') return new Map();
      throw error;
    }
    try {
      const entries = Object.entries(JSON.parse(text) as Record<string, string>);
      return new Map(entries.map(([key, value]) => [key, Uint8Array.from(Buffer.from(value, 'base64'))]));
    } catch {
      throw new LocalStateError('STATE_FILE_MALFORMED', `The file "${file}" holds no state: remove or repair it`);
    }
  }

  /** Beside, then in its place: what stops in between leaves the former one. */
  async #keep(number: number, partition: Partition): Promise<void> {
    const file = this.#file(number);
    if (file === undefined) return;
    await mkdir(path.dirname(file), { recursive: true });
    const entries = [...partition].map(([key, value]) => [key, Buffer.from(value).toString('base64')]);
    await writeFile(`${file}.new`, JSON.stringify(Object.fromEntries(entries)));
    await rename(`${file}.new`, file);
  }
}

function listed(partition: Partition, { prefix, after, limit }: Omit<StateRange, 'partition'>): string[] {
  return [...partition.keys()]
    .filter((key) => key.startsWith(prefix) && key > after)
    .sort((left, right) => (left < right ? -1 : 1))
    .slice(0, Math.min(limit, maxListed));
}

function tagOf(value: Uint8Array | undefined): string {
  return value === undefined ? 'none' : toHex(sha256(value)).slice(0, 44);
}

function changed(): LocalStateError {
  return new LocalStateError('STATE_CHANGED', 'Others have changed what was read; nothing has changed by this', true);
}

/** What the state refuses, by the names that it has on a network. */
export class LocalStateError extends CloisterError<
  'STATE_CHANGED' | 'STATE_FULL' | 'STATE_PARTITION_UNKNOWN' | 'STATE_FILE_MALFORMED'
> {
  override readonly name = 'LocalStateError';
  constructor(code: LocalStateError['code'], message: string, retry = false) {
    super({ code, message, retry });
  }
}
