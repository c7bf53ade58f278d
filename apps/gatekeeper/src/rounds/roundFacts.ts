import { type ChainView, firstBlockSince, type NetworkClock, type RegistryHistory } from '@cloister/chain';
import { type Address, CloisterError, evictionTreeOf, type RoundStatement } from '@cloister/core';

export type RoundFactsComponents = {
  readonly view: Pick<ChainView, 'head' | 'blockAt' | 'blockOn'>;
  readonly history: Pick<RegistryHistory, 'evictedAt'>;
  readonly clock: NetworkClock;
};

/** A round's statement and what its root stands for, as this member sees the chain. */
export type RoundFacts = { readonly statement: RoundStatement; readonly evicted: readonly Address[] };

/**
 * What there is to say of a round: the last block before it, which is the same for everybody who sees the same chain, whenever he looks.
 * Throws ROUND_AHEAD while no block of the round or a later one is there, and ChainError.
 */
export async function readRoundFacts(
  { view, history, clock }: RoundFactsComponents,
  round: bigint,
  signal: AbortSignal,
): Promise<RoundFacts> {
  const head = await view.head(signal);
  const first = await firstBlockSince(view, head, clock.genesis + round * clock.roundLength, signal);
  if (first === undefined || first.number === 0n) throw new RoundAheadError(round);
  const block = await view.blockOn(head, first.number - 1n, signal);
  const { number, hash, timestamp } = block;
  const evicted = (await history.evictedAt(block, signal))
    .filter(({ leaseUntil }) => leaseUntil > timestamp)
    .map(({ signer }) => signer);
  return {
    statement: { round, time: timestamp, block: number, blockHash: hash, evictionRoot: evictionTreeOf(evicted).root },
    evicted,
  };
}

export class RoundAheadError extends CloisterError<'ROUND_AHEAD'> {
  override readonly name = 'RoundAheadError';
  constructor(round: bigint) {
    super({ code: 'ROUND_AHEAD', message: `No block ends round "${round - 1n}" yet`, meta: { round }, retry: true });
  }
}
