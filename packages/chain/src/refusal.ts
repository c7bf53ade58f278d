import type { Hex } from '@cloister/core';
import { decodeErrorResult } from 'viem';
import { contractErrorsAbi } from './generated/index.ts';

/** A contract's own error in a read. */
export type ContractRefusal = { readonly errorName: string; readonly args: readonly string[]; readonly cause: unknown };

/** What a contract refused with, from the data of its revert. */
export function refusalIn(data: Hex | undefined, cause?: unknown): ContractRefusal {
  if (data === undefined) return { errorName: 'without a reason', args: [], cause };
  try {
    const { errorName, args } = decodeErrorResult({ abi: contractErrorsAbi, data });
    return { errorName, args: ((args ?? []) as readonly unknown[]).map(String), cause };
  } catch {
    return { errorName: data.slice(0, 10), args: [], cause };
  }
}
