import { type Bytes32, challengeBody, readChallengeAnswer, sleep } from '@cloister/core';
import { type ChallengePool, randomBelow } from './challengePool.ts';
import type { Measurements } from './measurements.ts';

export type ChallengerComponents = {
  /** Workers that are registered and leased now. */
  readonly workers: (signal: AbortSignal) => Promise<readonly Bytes32[]>;
  /** The network's epoch by the chain's clock; undefined before a block was read. */
  readonly epoch: () => bigint | undefined;
  /**
   * A sealed call of the network's challenge app at one worker, by a gateway chosen by chance: the body of its answer, its receipt
   * verified. Undefined where no such app is named, or this member itself is cut off.
   */
  readonly call: (workerId: Bytes32, body: Uint8Array, signal: AbortSignal) => Promise<Uint8Array | undefined>;
  readonly measurements: Measurements;
  readonly short: ChallengePool;
  readonly long: ChallengePool;
  /** Why a worker did not answer as it should. */
  readonly onUnanswered: (workerId: Bytes32, why: unknown) => void;
  /** Milliseconds of a clock that only goes forward. */
  readonly clockMs: () => number;
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<void>;
};

export type ChallengerInit = {
  readonly epochSeconds: number;
  /** Questions to each worker in an epoch, on average. */
  readonly perWorker: number;
  /** Questions to all workers together in an epoch: of many workers each is asked less. */
  readonly maxPerEpoch: number;
};

/** Questions that wait for an answer at one time. */
const maxOpen = 64;
const idleMs = 2_000;

/**
 * Puts questions to workers, each once before any is asked again, at moments that nobody can foresee: calls like any other, from a key
 * made for each, of which the worker sees only when it opens them whose they are, and its host never.
 */
export class Challenger {
  readonly #components: ChallengerComponents;
  readonly #init: ChallengerInit;
  #line: Bytes32[] = [];
  #open = 0;
  #renewedAtMs: number;

  constructor(components: ChallengerComponents, init: ChallengerInit) {
    this.#components = components;
    this.#init = init;
    this.#renewedAtMs = components.clockMs();
  }

  /** Asks until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { workers, wait = sleep } = this.#components;
    while (!signal.aborted) {
      const active = new Set(await workers(signal).catch(() => []));
      const meanMs = this.#meanMs(active.size);
      await wait(meanMs === undefined ? idleMs : exponential(meanMs), signal).catch(() => {});
      if (signal.aborted) return;
      const workerId = this.#next(active);
      if (workerId === undefined || this.#open >= maxOpen) continue;
      this.#renew();
      void this.#ask(workerId, signal);
    }
  }

  /** Makes each long question anew once an epoch: doing that for each that is asked would be as much work as all workers do. */
  #renew(): void {
    const { long, clockMs } = this.#components;
    const everyMs = (this.#init.epochSeconds * 1_000) / long.size;
    if (clockMs() - this.#renewedAtMs < everyMs) return;
    this.#renewedAtMs = clockMs();
    long.renew();
  }

  /** Between two questions; undefined where there is nobody to ask. */
  #meanMs(workers: number): number | undefined {
    const { epochSeconds, perWorker, maxPerEpoch } = this.#init;
    return workers === 0 ? undefined : (epochSeconds * 1_000) / Math.min(perWorker * workers, maxPerEpoch);
  }

  #next(active: ReadonlySet<Bytes32>): Bytes32 | undefined {
    this.#line = this.#line.filter((workerId) => active.has(workerId));
    if (this.#line.length === 0) this.#line = shuffled([...active]);
    return this.#line.pop();
  }

  async #ask(workerId: Bytes32, signal: AbortSignal): Promise<void> {
    const { epoch, call, measurements, short, long, onUnanswered, clockMs } = this.#components;
    const now = epoch();
    if (now === undefined) return;
    const length = randomBelow(2) === 0 ? 'short' : 'long';
    const { question, answer } = (length === 'short' ? short : long).take();
    measurements.asked(now, workerId);
    this.#open += 1;
    const beganMs = clockMs();
    try {
      const body = await call(workerId, challengeBody(question), signal);
      if (body === undefined) measurements.withdrawn(now, workerId);
      else if (readChallengeAnswer(body) === answer)
        measurements.answered(now, workerId, length, (clockMs() - beganMs) * 1_000);
      else onUnanswered(workerId, 'it gave a wrong answer');
    } catch (error) {
      onUnanswered(workerId, error);
    } finally {
      this.#open -= 1;
    }
  }
}

/** A time between events that come independently of each other, with this mean. */
function exponential(mean: number): number {
  return -Math.log((randomBelow(2 ** 32) + 1) / 2 ** 32) * mean;
}

function shuffled<T>(items: T[]): T[] {
  for (let last = items.length - 1; last > 0; last--) {
    const chosen = randomBelow(last + 1);
    [items[last], items[chosen]] = [items[chosen] as T, items[last] as T];
  }
  return items;
}
