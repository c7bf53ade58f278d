import type { Address, Bytes32 } from '@cloister/core';
import type { ChainView } from './chainView.ts';
import type { CommitteeHistory, PastGeneration } from './committeeHistory.ts';
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
  /** Workers that were active and leased; a stake of 1 each until there are bonds. */
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
};

export type EpochFactsComponents = {
  readonly view: Pick<ChainView, 'blockAt' | 'blockOn' | 'finalized'>;
  readonly registry: Pick<RegistryHistory, 'workersAt' | 'evictedAt'>;
  readonly committee: Pick<CommitteeHistory, 'generationAt'>;
  readonly clock: NetworkClock;
};

/** Reads them from events alone; undefined while the epoch's end is not final. Throws ChainError. */
export async function readEpochFacts(
  { view, registry, committee, clock }: EpochFactsComponents,
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
  return {
    epoch,
    endsAt,
    firstRound: (epoch * clock.epochLength) / clock.roundLength,
    block: first.number,
    blockHash: first.hash,
    generation,
    workers: workers
      .filter(({ active, leaseUntil }) => active && leaseUntil > first.timestamp)
      .map(({ workerId, receiptSigner, platformId, operator, teeType }) => ({
        workerId,
        signer: receiptSigner,
        platformId,
        operator,
        teeType,
        stake: 1n,
      })),
    evicted: evicted.filter(({ leaseUntil }) => leaseUntil > first.timestamp).map(({ signer }) => signer),
  };
}
