import type { Address, Bytes32, NetworkFile } from '@cloister/core';
import type { BlockId, ChainLog } from './chainLog.ts';
import type { ChainView } from './chainView.ts';
import { FinalLogs } from './finalLogs.ts';
import { workerBondsAbi } from './generated/index.ts';

/** A running worker with stake behind it. */
export type RunningBond = {
  readonly workerId: Bytes32;
  /** The operator whose pool bears it. */
  readonly pool: Address;
  /** What it can lose, in PHA's smallest unit; at least 1. */
  readonly bond: bigint;
};

type Bond = { readonly block: bigint; readonly pool: Address; readonly isRunning: boolean; readonly bond: bigint };

const eventNames = ['WorkerStarted', 'BondRaised', 'WorkerStopped', 'BondSeized', 'BondReleased'];

/** States kept of one worker, one a block: only of blocks that are hours old they are asked for. */
const maxChanges = 256;

/**
 * The workers that ran with a bond after any final block, replayed from the events of `WorkerBonds`, so that no RPC needs to keep old
 * state. A worker that changed more often than anybody needs to had no bond at the blocks that are forgotten.
 */
export class BondHistory {
  readonly #workers = new Map<Bytes32, Bond[]>();
  readonly #logs: FinalLogs;

  constructor(
    view: Pick<ChainView, 'logsUpTo' | 'finalized'>,
    contracts: Pick<NetworkFile['contracts'], 'workerBonds'>,
  ) {
    const query = { address: contracts.workerBonds, abi: workerBondsAbi, eventNames };
    this.#logs = new FinalLogs(view, query, (log) => this.#take(log));
  }

  /** Those that ran after a block, by their ids. Throws ChainError, also where the block is not final. */
  async runningAt(block: BlockId, signal?: AbortSignal): Promise<ReadonlyMap<Bytes32, RunningBond>> {
    await this.#logs.follow(block, signal);
    const running = [...this.#workers].flatMap(([workerId, changes]) => {
      const last = changes.findLast((change) => change.block <= block.number);
      if (last === undefined || !last.isRunning || last.bond === 0n) return [];
      return [[workerId, { workerId, pool: last.pool, bond: last.bond }] as const];
    });
    return new Map(running);
  }

  #take({ eventName, args, blockNumber: block }: ChainLog): void {
    const {
      workerId,
      pool: named,
      bond,
      left,
    } = args as {
      workerId: Bytes32;
      pool: string;
      bond: bigint;
      left: bigint;
    };
    const pool = named.toLowerCase() as Address;
    const changes = this.#workers.get(workerId) ?? [];
    const before = changes.at(-1) ?? { pool, isRunning: false, bond: 0n };
    const now = {
      WorkerStarted: { pool, isRunning: true, bond },
      BondRaised: { ...before, bond },
      WorkerStopped: { ...before, isRunning: false },
      BondSeized: { ...before, bond: left },
      BondReleased: { pool, isRunning: false, bond: 0n },
    }[eventName];
    if (now === undefined) return;
    if (changes.at(-1)?.block === block) changes.pop();
    changes.push({ ...now, block });
    if (changes.length > maxChanges) changes.splice(0, changes.length - maxChanges);
    this.#workers.set(workerId, changes);
  }
}
