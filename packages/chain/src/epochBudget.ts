import type { NetworkFile } from '@cloister/core';
import type { ChainView } from './chainView.ts';
import { emissionAbi, epochRecordsAbi } from './generated/index.ts';

const wholeBps = 10_000n;

/**
 * The most that an epoch's workers may get, as `Emission` will count it when the epoch has its record: what its views give after a block,
 * which is the first one after the epoch. Treasury and gatekeepers are rounded down. Throws ChainError.
 *
 * An epoch brings the time of the one before too, where that has no record yet. It gets none any more: from this block's time on
 * `EpochRecords` refuses it.
 */
export async function readWorkersBudget(
  view: Pick<ChainView, 'read'>,
  contracts: Pick<NetworkFile['contracts'], 'emission' | 'epochRecords'>,
  { epoch, epochLength, block }: { readonly epoch: bigint; readonly epochLength: bigint; readonly block: bigint },
  signal?: AbortSignal,
): Promise<bigint> {
  const emission = { address: contracts.emission, abi: emissionAbi, block } as const;
  const records = { address: contracts.epochRecords, abi: epochRecordsAbi, block } as const;
  const emittedAfter = (epochs: bigint) =>
    view.read({ ...emission, functionName: 'emittedAfter', args: [epochs * epochLength] }, signal);
  const [split, before] = await Promise.all([
    view.read({ ...emission, functionName: 'splitOf', args: [epoch] }, signal),
    epoch === 0n ? undefined : view.read({ ...records, functionName: 'digestOf', args: [epoch - 1n] }, signal),
  ]);
  const isLeftOut = before !== undefined && BigInt(before) === 0n;
  const [until, from] = await Promise.all([emittedAfter(epoch + 1n), emittedAfter(isLeftOut ? epoch - 1n : epoch)]);
  const emitted = until - from;
  const part = (bps: number) => (emitted * BigInt(bps)) / wholeBps;
  return emitted - part(split.treasuryBps) - part(split.gatekeepersBps);
}
