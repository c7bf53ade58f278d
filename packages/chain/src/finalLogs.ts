import type { BlockId, ChainLog, EventQuery } from './chainLog.ts';
import { ChainError, type ChainView } from './chainView.ts';

/**
 * Events of one contract up to a final block, each given to `take` once, in the chain's order: what was read is never taken back. Questions
 * are answered one after the other; one that fails leaves the next to try again.
 */
export class FinalLogs {
  readonly #view: Pick<ChainView, 'logsUpTo' | 'finalized'>;
  readonly #query: Omit<EventQuery, 'fromBlock'>;
  readonly #take: (log: ChainLog) => void;
  #read = -1n;
  #following: Promise<void> = Promise.resolve();

  constructor(
    view: Pick<ChainView, 'logsUpTo' | 'finalized'>,
    query: Omit<EventQuery, 'fromBlock'>,
    take: (log: ChainLog) => void,
  ) {
    this.#view = view;
    this.#query = query;
    this.#take = take;
  }

  /** Until everything up to this block was taken. Throws ChainError, CHAIN_BLOCK_NOT_FINAL where it can still be taken back. */
  async follow(end: BlockId, signal?: AbortSignal): Promise<void> {
    const followed = this.#following.then(() => this.#readTo(end, signal));
    this.#following = followed.catch(() => {});
    await followed;
  }

  async #readTo(end: BlockId, signal: AbortSignal | undefined): Promise<void> {
    if (end.number <= this.#read) return;
    const final = await this.#view.finalized(signal);
    if (end.number > final.number)
      throw new ChainError('CHAIN_BLOCK_NOT_FINAL', `Block "${end.number}" can still be taken back`, {
        block: end.number,
      });
    const query = { ...this.#query, fromBlock: this.#read + 1n };
    for (const log of await this.#view.logsUpTo(query, end, signal)) this.#take(log);
    this.#read = end.number;
  }
}
