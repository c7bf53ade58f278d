import { CloisterError, hostsPartition, sleep } from '@cloister/core';
import type { AppStates, StateOwner } from './appStates.ts';

export type HostsBookComponents = {
  readonly states: Pick<AppStates, 'ask'>;
  /** Of which app; the version that this host serves. */
  readonly owner: StateOwner;
};

/** Values by their keys, as they were read together. */
export type BookValues = ReadonlyMap<string, Uint8Array | undefined>;

export type BookChange<T> = {
  /** A value of undefined deletes. Nothing at all leaves the book as it is. */
  readonly changes: readonly (readonly [key: string, value: Uint8Array | undefined])[];
  readonly result: T;
};

const maxTries = 10;
/** Pauses before it is tried again are random, up to this and doubled each time, in ms. */
const firstPauseMs = 20;

/**
 * What an app's hosts write down for each other, in the partition of its state that its code does not reach. One of two hosts that change
 * the same is told so, whoever they are and however often they run.
 */
export class HostsBook {
  readonly #components: HostsBookComponents;

  constructor(components: HostsBookComponents) {
    this.#components = components;
  }

  async read(keys: readonly string[], signal: AbortSignal): Promise<BookValues> {
    return new Map((await this.#get(keys, signal)).map(({ key, value }) => [key, value]));
  }

  /**
   * Changes what `work` says, if everything that it was shown is still so then. It runs again where it is not, and where nobody knows whether
   * its change holds: it has to know its own change again. Throws what AppStates.ask throws.
   */
  async change<T>(
    keys: readonly string[],
    work: (values: BookValues) => BookChange<T> | Promise<BookChange<T>>,
    signal: AbortSignal,
  ): Promise<T> {
    const { states, owner } = this.#components;
    for (let tries = 1; ; tries++) {
      const seen = await this.#get(keys, signal);
      const { changes, result } = await work(new Map(seen.map(({ key, value }) => [key, value])));
      if (changes.length === 0) return result;
      const read = seen.map(({ key, tag }) => ({ key, tag }));
      const commit = { read, listed: [], changes: changes.map(([key, value]) => ({ key, value })) };
      try {
        await states.ask(owner, hostsPartition, { type: 'commit', ...commit }, signal);
        return result;
      } catch (error) {
        if (!isWorthAnotherTry(error) || tries === maxTries) throw error;
        await sleep(Math.random() * firstPauseMs * 2 ** tries, signal);
      }
    }
  }

  async #get(keys: readonly string[], signal: AbortSignal) {
    const { states, owner } = this.#components;
    const seen: { readonly key: string; readonly value: Uint8Array | undefined; readonly tag: string }[] = [];
    for (const key of keys) {
      const answer = await states.ask(owner, hostsPartition, { type: 'get', key }, signal);
      if (answer.type !== 'get') throw new TypeError(`A question for a value was answered as "${answer.type}"`);
      seen.push({ key, value: answer.value, tag: answer.tag });
    }
    return seen;
  }
}

function isWorthAnotherTry(error: unknown): boolean {
  return error instanceof CloisterError && (error.code === 'STATE_CHANGED' || error.code === 'STATE_UNKNOWN');
}
