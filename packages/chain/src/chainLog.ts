import type { Address, Hex } from '@cloister/core';
import type { Abi } from 'viem';

/** A block that every RPC of the view knows. Timestamp in unix seconds. */
export type Head = { readonly number: bigint; readonly hash: Hex; readonly timestamp: bigint };

/** Which block, on which branch. */
export type BlockId = Pick<Head, 'number' | 'hash'>;

/** One event, decoded. */
export type ChainLog = {
  readonly eventName: string;
  readonly args: Readonly<Record<string, unknown>>;
  readonly blockNumber: bigint;
};

/** Whose events, of which kinds, from which block on. */
export type EventQuery = {
  readonly address: Address;
  readonly abi: Abi;
  readonly eventNames: readonly string[];
  readonly fromBlock: bigint;
};
