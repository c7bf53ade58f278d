import { CloisterError } from '@cloister/core';
import type { ChainLog, EventQuery } from './chainLog.ts';

/** A range that an RPC does not give at once is asked for in halves, down to this many blocks. */
const minPageBlocks = 64n;

/** Events of some blocks, both ends included. */
export type LogsQuery = EventQuery & { readonly toBlock: bigint };

/** `ChainView.logs` in as many questions as it takes: many RPCs bound how many blocks or events one may cover. */
export async function pagedLogs(
  view: { logs(query: LogsQuery, signal?: AbortSignal): Promise<readonly ChainLog[]> },
  query: LogsQuery,
  signal: AbortSignal | undefined,
): Promise<readonly ChainLog[]> {
  const { fromBlock, toBlock } = query;
  try {
    return await view.logs(query, signal);
  } catch (error) {
    const mayBeTooMany = error instanceof CloisterError && error.code === 'CHAIN_UNREACHABLE';
    if (signal?.aborted || !mayBeTooMany || toBlock - fromBlock < minPageBlocks) throw error;
    const middle = (fromBlock + toBlock) / 2n;
    return [
      ...(await pagedLogs(view, { ...query, toBlock: middle }, signal)),
      ...(await pagedLogs(view, { ...query, fromBlock: middle + 1n }, signal)),
    ];
  }
}
