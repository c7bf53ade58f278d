import type { Address, Bytes32, Hex } from '@cloister/core';

/** A member as the chain has it: who answers for it, what its enclave signs and opens with, where it is. */
export type Member = {
  readonly operator: Address;
  readonly signer: Address;
  readonly hpkeKey: Bytes32;
  readonly endpoint: string;
};

/** A set of shares that the chain knows. Members in the order of their indices. */
export type Generation = {
  /** From 1; 0 before the first key. */
  readonly number: bigint;
  readonly threshold: number;
  readonly members: readonly Member[];
  readonly publicSharesHash: Bytes32;
  /** Of the handover that made it; zero for number 0. */
  readonly digest: Bytes32;
  /** Timestamp of the block with that handover, unix seconds. */
  readonly since: bigint;
};

/** The committee at one block. */
export type CommitteeState = {
  readonly generation: Generation;
  /** Everybody who would be in the next generation, in order, with the threshold that it would have. */
  readonly next: {
    readonly threshold: number;
    readonly members: readonly Member[];
    /** Whether nobody who may join is missing. */
    readonly isComplete: boolean;
    /** End of the lease that ends last, unix seconds: a founding counts its attempts from there, so that one begins as the last comes. */
    readonly lastLeaseUntil: bigint;
  };
  /** Compressed points of G1; undefined before the first generation. */
  readonly keys: { readonly apps: Hex; readonly beacon: Hex } | undefined;
};

/** What the contract is told at a handover (`Handover` of PROTOCOL). */
export type HandoverRecord = {
  readonly generation: bigint;
  readonly threshold: number;
  readonly members: readonly Member[];
  /** Bit i: member i of the previous generation (of the new one, for the first) dealt. */
  readonly dealers: number;
  readonly transcriptHash: Bytes32;
  readonly publicSharesHash: Bytes32;
  readonly keys: { readonly apps: Hex; readonly beacon: Hex };
};

/** The chain as a gatekeeper decides by it, and writes to it. */
export interface CommitteeChain {
  /** As of the newest block on which all RPCs agree. */
  state(signal: AbortSignal): Promise<CommitteeState>;
  /** As of the newest block that can't be taken back. */
  finalized(signal: AbortSignal): Promise<CommitteeState>;
  /** Timestamp of the newest block, unix seconds. */
  now(signal: AbortSignal): Promise<bigint>;
  digestOf(record: HandoverRecord): Bytes32;
  /** Sends the handover with the signatures over its digest, by signer. */
  handOver(record: HandoverRecord, signatures: ReadonlyMap<Address, Hex>, signal: AbortSignal): Promise<void>;
}
