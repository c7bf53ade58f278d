import { type Bytes32, maxMeasuredWorkers, type WorkerMeasurement } from '@cloister/core';

/** How much work was in a question: next to none, so that it shows the way there and back, or a good piece. */
export type ChallengeLength = 'short' | 'long';

type Seen = { asked: number; answered: number; readonly shortUs: number[]; readonly longUs: number[] };

const keptEpochs = 3;
/** Times kept of one worker, epoch and length. */
const keptTimes = 128;
const maxAsked = 0xffff;

/** What this member has seen of each worker, by epoch. An epoch that was given out is closed: what comes late counts for nothing. */
export class Measurements {
  readonly #steps: number;
  readonly #epochs = new Map<bigint, Map<Bytes32, Seen>>();
  readonly #closed = new Set<bigint>();

  /** @param init.longSteps the steps of a long question */
  constructor(init: { readonly longSteps: number }) {
    this.#steps = init.longSteps;
  }

  asked(epoch: bigint, workerId: Bytes32): void {
    const seen = this.#of(epoch, workerId);
    if (seen !== undefined && seen.asked < maxAsked) seen.asked += 1;
  }

  /** @param elapsedUs from the question to its whole answer, in µs */
  answered(epoch: bigint, workerId: Bytes32, length: ChallengeLength, elapsedUs: number): void {
    const seen = this.#of(epoch, workerId);
    if (seen === undefined || seen.answered >= seen.asked) return;
    seen.answered += 1;
    const times = length === 'short' ? seen.shortUs : seen.longUs;
    if (times.length < keptTimes) times.push(Math.max(0, Math.round(elapsedUs)));
  }

  /** A question of which this member itself can't tell what became of it: it is as if it had not been put. */
  withdrawn(epoch: bigint, workerId: Bytes32): void {
    const seen = this.#of(epoch, workerId);
    if (seen !== undefined && seen.asked > seen.answered) seen.asked -= 1;
  }

  /** Ascending by worker id, and final from now on. */
  of(epoch: bigint): readonly WorkerMeasurement[] {
    this.#close(epoch);
    return [...(this.#epochs.get(epoch) ?? [])]
      .filter(([, { asked }]) => asked > 0)
      .sort(([left], [right]) => (left < right ? -1 : 1))
      .map(([workerId, { asked, answered, shortUs, longUs }]) => ({
        workerId,
        asked,
        answered,
        latencyMs: Math.round(medianOf(shortUs.length > 0 ? shortUs : longUs) / 1_000),
        work: this.#work(shortUs, longUs),
      }));
  }

  /**
   * Steps a second: what a long question takes longer than a short one, and half of its whole time at the least: where the way there and back
   * takes most of the time, the difference is chance. Enclaves don't know which is which before they answer.
   */
  #work(shortUs: readonly number[], longUs: readonly number[]): bigint {
    if (shortUs.length === 0 || longUs.length === 0) return 0n;
    const long = medianOf(longUs);
    const us = Math.max(1, long - medianOf(shortUs), Math.ceil(long / 2));
    return (BigInt(this.#steps) * 1_000_000n) / BigInt(us);
  }

  #of(epoch: bigint, workerId: Bytes32): Seen | undefined {
    if (this.#closed.has(epoch)) return undefined;
    let workers = this.#epochs.get(epoch);
    if (workers === undefined) {
      workers = new Map();
      this.#epochs.set(epoch, workers);
      const epochs = [...this.#epochs.keys()].sort((left, right) => (left < right ? -1 : 1));
      for (const known of epochs.slice(0, -keptEpochs)) this.#epochs.delete(known);
    }
    const known = workers.get(workerId);
    if (known !== undefined || workers.size >= maxMeasuredWorkers) return known;
    const seen: Seen = { asked: 0, answered: 0, shortUs: [], longUs: [] };
    workers.set(workerId, seen);
    return seen;
  }

  #close(epoch: bigint): void {
    this.#closed.add(epoch);
    while (this.#closed.size > 16) this.#closed.delete(this.#closed.keys().next().value as bigint);
  }
}

/** The lower of the two middle ones of an even number; 0 of none. */
function medianOf(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[(values.length - 1) >> 1] ?? 0;
}
