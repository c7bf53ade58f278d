import type { Bytes32, EpochRecord, NetworkFile } from '@cloister/core';
import type { ChainLog } from './chainLog.ts';
import type { ChainView } from './chainView.ts';
import { epochRecordsAbi } from './generated/index.ts';
import { pagedLogs } from './pagedLogs.ts';

/** A record as the chain took it. */
export type PostedRecord = {
  readonly record: EpochRecord;
  /** What the members signed. */
  readonly digest: Bytes32;
  /** The block that has it. */
  readonly postedAt: bigint;
};

/** Typed reads of a network's epoch records through a {@link ChainView}. */
export class EpochRecordsReader {
  readonly view: ChainView;
  readonly #at: { readonly address: NetworkFile['contracts']['epochRecords']; readonly abi: typeof epochRecordsAbi };

  constructor(view: ChainView, contracts: Pick<NetworkFile['contracts'], 'epochRecords'>) {
    this.view = view;
    this.#at = { address: contracts.epochRecords, abi: epochRecordsAbi };
  }

  /** The last epoch that has a record, as of a block, or of the newest; undefined while none has. */
  async lastRecorded(block?: bigint, signal?: AbortSignal): Promise<bigint | undefined> {
    const at = block === undefined ? {} : { block };
    const last = await this.view.read({ ...this.#at, functionName: 'last', args: [], ...at }, signal);
    return last.exists ? last.epoch : undefined;
  }

  /** The app that challenges to workers call; zero for none. */
  challengeApp(block?: bigint, signal?: AbortSignal): Promise<Bytes32> {
    const at = block === undefined ? {} : { block };
    return this.view.read({ ...this.#at, functionName: 'challengeApp', args: [], ...at }, signal);
  }

  /** All records up to a block, oldest first, as all RPCs list them. */
  async records(toBlock: bigint, signal?: AbortSignal): Promise<readonly PostedRecord[]> {
    const query = { ...this.#at, eventNames: ['EpochRecorded'], fromBlock: 0n, toBlock };
    return (await pagedLogs(this.view, query, signal)).map(postedRecord);
  }
}

/** A record as `post` is given it. */
export function onChainRecord({ block, totals, ...rest }: EpochRecord) {
  return { ...rest, blockNumber: block, ...totals };
}

/** What an event `EpochRecorded` says. */
export function postedRecord({ args, blockNumber: postedAt }: ChainLog): PostedRecord {
  const { record, digest } = args as { record: ReturnType<typeof onChainRecord>; digest: Bytes32 };
  const { blockNumber, members, workers, stake, work, rewards, ...rest } = record;
  const totals = { members, workers, stake, work, rewards };
  return { record: { ...rest, block: blockNumber, totals }, digest, postedAt };
}
