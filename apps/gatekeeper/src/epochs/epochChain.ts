import type { EpochFacts } from '@cloister/chain';
import type { Address, EpochRecord, Hex } from '@cloister/core';

/** The chain as the keeper of epochs decides by it, and writes to it. */
export interface EpochChain {
  /** Timestamp of the newest block that can't be taken back, unix seconds. */
  finalTimestamp(signal: AbortSignal): Promise<bigint>;
  /** Timestamp of the newest block: records are taken or refused by its successor's. Unix seconds. */
  newestTimestamp(signal: AbortSignal): Promise<bigint>;
  /** As of the first block after an epoch; undefined while that is not final. */
  factsOf(epoch: bigint, signal: AbortSignal): Promise<EpochFacts | undefined>;
  /** The last epoch that has a record, as of the newest block; undefined while none has. */
  lastRecorded(signal: AbortSignal): Promise<bigint | undefined>;
  /** Sends the record with the signatures over its digest, by signer. */
  post(record: EpochRecord, signatures: ReadonlyMap<Address, Hex>, signal: AbortSignal): Promise<void>;
}
