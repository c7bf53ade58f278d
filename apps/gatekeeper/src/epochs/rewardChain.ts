import type { Address, Bytes32, EpochRecord } from '@cloister/core';
import type { PoolReward } from '@cloister/economics';

/** A record that can't be taken back. */
export type RecordedEpoch = {
  readonly record: EpochRecord;
  readonly digest: Bytes32;
  /** Of the block that has it, unix seconds. */
  readonly postedAt: bigint;
};

/** An epoch's pot; `claimableAt` (unix seconds) is zero while it is not open. */
export type RewardPot = { readonly claimableAt: bigint; readonly isBlocked: boolean };

/** A pool's reward with the proof of its leaf in the record's rewards. */
export type ProvenReward = PoolReward & { readonly proof: readonly Bytes32[] };

/** So many come to less than half of what a transaction may take. */
export const maxRewardsPerClaim = 64;

/** The chain as the keeper of rewards decides by it, and writes to it. */
export interface RewardChain {
  /** Timestamp of the newest block that can't be taken back, unix seconds. */
  finalTimestamp(signal: AbortSignal): Promise<bigint>;
  /** The last ones, oldest first. */
  recorded(signal: AbortSignal): Promise<readonly RecordedEpoch[]>;
  /** Whether treasury or gatekeepers get a part of each epoch's emission. */
  paysOthers(epoch: bigint, signal: AbortSignal): Promise<boolean>;
  potOf(epoch: bigint, signal: AbortSignal): Promise<RewardPot>;
  isClaimed(epoch: bigint, operator: Address, signal: AbortSignal): Promise<boolean>;
  open(record: EpochRecord, signal: AbortSignal): Promise<void>;
  /** Claims of one epoch, `maxRewardsPerClaim` at most, in one transaction. What can't be claimed is passed over. */
  claimMany(epoch: bigint, rewards: readonly ProvenReward[], signal: AbortSignal): Promise<void>;
}
