import type { Address, Bytes32 } from '@cloister/core';
import type { ChainView } from './chainView.ts';
import type { CommitteeHistory, PastGeneration } from './committeeHistory.ts';
import { type EpochEarners, type EpochEarnersComponents, readEpochEarners } from './epochEarners.ts';
import { firstBlockSince } from './firstBlockSince.ts';
import type { RegistryHistory } from './registryHistory.ts';
import type { NetworkClock } from './registryReader.ts';

/** What the chain says of an epoch: all as of the first block after it. */
export type EpochFacts = {
  readonly epoch: bigint;
  /** Unix seconds: the next epoch begins with it. */
  readonly endsAt: bigint;
  /** The beacon's first round of the epoch. */
  readonly firstRound: bigint;
  readonly block: bigint;
  readonly blockHash: Bytes32;
  /** Undefined before there was a committee. */
  readonly generation: PastGeneration | undefined;
  /** Workers that were active and leased; the stake of a running one is its bond, of others 1. */
  readonly workers: readonly {
    readonly workerId: Bytes32;
    readonly signer: Address;
    readonly platformId: Bytes32;
    readonly operator: Address;
    readonly teeType: number;
    readonly stake: bigint;
  }[];
  /** Signers that were evicted for cause and whose leases would still run. */
  readonly evicted: readonly Address[];
  /** Those of the workers that may earn, and how much. */
  readonly earners: EpochEarners;
};

export type EpochFactsComponents = {
  readonly view: Pick<ChainView, 'blockAt' | 'blockOn' | 'finalized' | 'read'>;
  readonly registry: Pick<RegistryHistory, 'workersAt' | 'evictedAt'>;
  readonly committee: Pick<CommitteeHistory, 'generationAt'>;
  readonly clock: NetworkClock;
} & Pick<EpochEarnersComponents, 'bonds' | 'contracts'>;

/**
 * Reads them from events, and where workers are bonded from contracts at that block; undefined while the epoch's end is not final. Throws
 * ChainError.
 */
export async function readEpochFacts(
  { view, registry, committee, clock, bonds, contracts }: EpochFactsComponents,
  epoch: bigint,
  signal?: AbortSignal,
): Promise<EpochFacts | undefined> {
  const startsAt = clock.genesis + epoch * clock.epochLength;
  const endsAt = startsAt + clock.epochLength;
  const first = await firstBlockSince(view, await view.finalized(signal), endsAt, signal);
  if (first === undefined) return undefined;
  const [workers, evicted, generation] = await Promise.all([
    registry.workersAt(first, signal),
    registry.evictedAt(first, signal),
    committee.generationAt(first, signal),
  ]);
  const leased = workers.filter(({ active, leaseUntil }) => active && leaseUntil > first.timestamp);
  const of = { epoch, epochLength: clock.epochLength, block: first };
  const earners = await readEpochEarners({ view, bonds, contracts }, of, leased, signal);
  const bondOf = new Map(earners.workers.map(({ workerId, bond }) => [workerId, bond]));
  return {
    epoch,
    endsAt,
    firstRound: (epoch * clock.epochLength) / clock.roundLength,
    block: first.number,
    blockHash: first.hash,
    generation,
    workers: leased.map(({ workerId, receiptSigner, platformId, operator, teeType }) => ({
      workerId,
      signer: receiptSigner,
      platformId,
      operator,
      teeType,
      stake: bondOf.get(workerId) ?? 1n,
    })),
    evicted: evicted.filter(({ leaseUntil }) => leaseUntil > first.timestamp).map(({ signer }) => signer),
    earners,
  };
}
