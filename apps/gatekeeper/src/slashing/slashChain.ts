import type { Bytes32 } from '@cloister/core';
import type { Equivocation } from '@cloister/sdk';
import type { TwoRecords } from './recordWatch.ts';

/** A case that is neither settled nor vetoed. `settleFrom` in unix seconds. */
export type OpenCase = { readonly caseId: Bytes32; readonly settleFrom: bigint };

/** The chain as the keeper of slashes decides by it, and writes to it from the operator's account. */
export interface SlashChain {
  /** Timestamp of the newest block that can't be taken back, unix seconds. */
  finalTimestamp(signal: AbortSignal): Promise<bigint>;
  /** What was opened and has not ended, as of that block. */
  openCases(signal: AbortSignal): Promise<readonly OpenCase[]>;
  /** Shows a proof; answers its case. Throws NoEquivocationError where the chain would not take it, TransactionError. */
  report(equivocation: Equivocation, signal: AbortSignal): Promise<Bytes32>;
  /** The same of two records, which cost a gatekeeper its bond. */
  reportTwoRecords(proof: TwoRecords, signal: AbortSignal): Promise<Bytes32>;
  /** Ends a case; nothing where it has ended. Throws StakingError, TransactionError. */
  settle(caseId: Bytes32, signal: AbortSignal): Promise<void>;
}
