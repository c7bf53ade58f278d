import { ChainError } from '@cloister/chain';
import { describeError, readBounded, sleep } from '@cloister/core';
import { fromUtf8 } from '@cloister/crypto';
import { ProofError } from './proofError.ts';

export type ProofSourceInit = {
  readonly rpcs: readonly string[];
  /** The most bytes of one answer. A proof of 256 slots has about half a million, the receipts of a full block a few millions. */
  readonly maxAnswerBytes?: number;
  /**
   * Pauses before all RPCs are asked again whose answers contradict the block. A node that is making the next block may give that
   * block's state for its newest one (Anvil does): once the next stands, it answers rightly. @default [100, 400]
   */
  readonly pausesMs?: readonly number[];
  /** Told of each answer, for measurements. */
  readonly onAnswer?: (method: string, bytes: number) => void;
};

const defaultMaxAnswerBytes = 16 * 1_024 * 1_024;
/** JSON-RPC: the method does not exist, or is not available. */
const methodMissing: ReadonlySet<unknown> = new Set([-32601, -32004]);
const defaultPausesMs: readonly number[] = [100, 400];

/**
 * RPCs asked for what proves itself: one right answer is enough, whoever gives it. They are asked in their order until one's
 * answer passes, and once or twice again where one contradicted the block; where none passes, the first lie is what is thrown.
 */
export class ProofSource {
  readonly #rpcs: readonly string[];
  readonly #maxAnswerBytes: number;
  readonly #pausesMs: readonly number[];
  readonly #onAnswer: (method: string, bytes: number) => void;

  constructor(init: ProofSourceInit) {
    this.#rpcs = init.rpcs;
    this.#maxAnswerBytes = init.maxAnswerBytes ?? defaultMaxAnswerBytes;
    this.#pausesMs = init.pausesMs ?? defaultPausesMs;
    this.#onAnswer = init.onAnswer ?? (() => {});
  }

  /**
   * What `check` makes of the first answer that it does not refuse. Throws the ProofError of an answer that was refused,
   * CHAIN_NO_PROOFS where no RPC has the method, CHAIN_UNREACHABLE.
   */
  async ask<T>(
    method: string,
    params: readonly unknown[],
    check: (result: unknown) => T,
    signal: AbortSignal,
  ): Promise<T> {
    for (const pauseMs of this.#pausesMs) {
      try {
        return await this.#askEach(method, params, check, signal);
      } catch (error) {
        if (!isContradiction(error)) throw error;
        await sleep(pauseMs, signal);
      }
    }
    return this.#askEach(method, params, check, signal);
  }

  /** The same of what is only a hint: asked once, and undefined where no answer passes. Throws the signal's reason. */
  async hint<T>(
    method: string,
    params: readonly unknown[],
    check: (result: unknown) => T,
    signal: AbortSignal,
  ): Promise<T | undefined> {
    try {
      return await this.#askEach(method, params, check, signal);
    } catch {
      signal.throwIfAborted();
      return undefined;
    }
  }

  async #askEach<T>(
    method: string,
    params: readonly unknown[],
    check: (result: unknown) => T,
    signal: AbortSignal,
  ): Promise<T> {
    const failures: unknown[] = [];
    for (const url of this.#rpcs) {
      try {
        return check(await this.#post(url, method, params, signal));
      } catch (error) {
        if (signal.aborted) throw error;
        failures.push(error);
      }
    }
    throw failures.find(isContradiction) ?? failures.find((error) => error instanceof ChainError) ?? failures[0];
  }

  async #post(url: string, method: string, params: readonly unknown[], signal: AbortSignal): Promise<unknown> {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
    let answer: unknown;
    try {
      const headers = { 'content-type': 'application/json' };
      const response = await fetch(url, { method: 'POST', headers, body, signal, redirect: 'error' });
      const bytes = await readBounded(response, this.#maxAnswerBytes);
      this.#onAnswer(method, bytes.length);
      answer = JSON.parse(fromUtf8(bytes));
    } catch (cause) {
      throw unreachable(url, method, describeError(cause), cause);
    }
    if (typeof answer !== 'object' || answer === null) throw unreachable(url, method, 'it answered no object');
    const { result, error } = answer as { readonly result?: unknown; readonly error?: unknown };
    if (error === undefined || error === null) return result;
    const { code, message } = error as { readonly code?: unknown; readonly message?: unknown };
    if (methodMissing.has(code))
      throw new ProofError('CHAIN_NO_PROOFS', `The RPC ${url} has no ${method}`, { url, method });
    throw unreachable(url, method, String(message).slice(0, 200));
  }
}

function isContradiction(error: unknown): boolean {
  return error instanceof ProofError && error.code !== 'CHAIN_NO_PROOFS';
}

function unreachable(url: string, method: string, why: string, cause?: unknown): ChainError {
  return new ChainError('CHAIN_UNREACHABLE', `The RPC ${url} failed at ${method}: ${why}`, { url, method }, cause);
}
