import type { Address, NetworkFile } from '@cloister/core';
import type { BlockId, ChainLog } from './chainLog.ts';
import type { ChainView } from './chainView.ts';
import { FinalLogs } from './finalLogs.ts';
import { gatekeeperCommitteeAbi } from './generated/index.ts';

/** A generation of shares, as its handover made it. */
export type PastGeneration = {
  /** From 1. */
  readonly number: bigint;
  readonly threshold: number;
  /** In the order of their indices. */
  readonly members: readonly { readonly operator: Address; readonly signer: Address }[];
};

/**
 * The committee of a network at any final block, replayed from its handovers' events, so that no RPC needs to keep old state. Only final
 * blocks are read: nothing that was read is ever taken back.
 */
export class CommitteeHistory {
  readonly #generations: { readonly block: bigint; readonly generation: PastGeneration }[] = [];
  readonly #logs: FinalLogs;

  constructor(
    view: Pick<ChainView, 'logsUpTo' | 'finalized'>,
    contracts: Pick<NetworkFile['contracts'], 'gatekeeperCommittee'>,
  ) {
    const query = { address: contracts.gatekeeperCommittee, abi: gatekeeperCommitteeAbi, eventNames: ['HandedOver'] };
    this.#logs = new FinalLogs(view, query, (log) => this.#take(log));
  }

  /** The generation that counted after a block; undefined before the first. Throws ChainError, also where the block is not final. */
  async generationAt(block: BlockId, signal?: AbortSignal): Promise<PastGeneration | undefined> {
    await this.#logs.follow(block, signal);
    return this.#generations.findLast((change) => change.block <= block.number)?.generation;
  }

  /** The generation of a number, as of a block; undefined where there was none by then. Throws as {@link generationAt}. */
  async generation(number: bigint, block: BlockId, signal?: AbortSignal): Promise<PastGeneration | undefined> {
    await this.#logs.follow(block, signal);
    const found = this.#generations.find(({ generation }) => generation.number === number);
    return found !== undefined && found.block <= block.number ? found.generation : undefined;
  }

  #take({ args, blockNumber: block }: ChainLog): void {
    const { generation, threshold } = args as { generation: bigint; threshold: number };
    const { operators, signers } = args as { operators: readonly string[]; signers: readonly string[] };
    const members = operators.map((operator, index) => ({
      operator: operator.toLowerCase() as Address,
      signer: (signers[index] ?? '').toLowerCase() as Address,
    }));
    this.#generations.push({ block, generation: { number: generation, threshold, members } });
  }
}
