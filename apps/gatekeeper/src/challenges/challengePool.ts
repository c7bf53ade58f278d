import { type ChallengeQuestion, challengeAnswerOf } from '@cloister/core';
import { randomBytes } from '@cloister/crypto';

/** A question, and the answer that it must have. */
export type Challenge = { readonly question: ChallengeQuestion; readonly answer: number };

/**
 * Questions of one length with answers known beforehand, so that judging an answer costs nothing. A few serve for many workers: an enclave
 * that answers can't know what others were asked.
 */
export class ChallengePool {
  readonly #steps: number;
  readonly #size: number;
  #challenges: Challenge[] = [];
  #next = 0;

  constructor(init: { readonly steps: number; readonly size: number }) {
    this.#steps = init.steps;
    this.#size = init.size;
  }

  /** How many are kept. */
  get size(): number {
    return this.#size;
  }

  /** One by chance; the first ones are made as they are needed. */
  take(): Challenge {
    if (this.#challenges.length < this.#size) {
      const made = newChallenge(this.#steps);
      this.#challenges.push(made);
      return made;
    }
    return this.#challenges[randomBelow(this.#challenges.length)] as Challenge;
  }

  /** Replaces the oldest: whoever has seen all of them gains little by it. */
  renew(): void {
    if (this.#challenges.length < this.#size) return;
    this.#challenges[this.#next] = newChallenge(this.#steps);
    this.#next = (this.#next + 1) % this.#size;
  }
}

/** A whole number from 0 to below `bound`, which is far below 2^32. */
export function randomBelow(bound: number): number {
  const bytes = randomBytes(6);
  return bytes.reduce((value, byte) => value * 256 + byte, 0) % bound;
}

function newChallenge(steps: number): Challenge {
  const question = { start: randomBelow(2 ** 32), steps };
  return { question, answer: challengeAnswerOf(question) };
}
