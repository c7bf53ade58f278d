import type { Address, NetworkFile } from '@cloister/core';
import { type BlockId, ChainError, type ChainLog, type ChainView } from './chainView.ts';
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
  readonly #view: Pick<ChainView, 'logsUpTo' | 'finalized'>;
  readonly #address: Address;
  readonly #generations: { readonly block: bigint; readonly generation: PastGeneration }[] = [];
  #read = -1n;
  #following: Promise<void> = Promise.resolve();

  constructor(
    view: Pick<ChainView, 'logsUpTo' | 'finalized'>,
    contracts: Pick<NetworkFile['contracts'], 'gatekeeperCommittee'>,
  ) {
    this.#view = view;
    this.#address = contracts.gatekeeperCommittee;
  }

  /** The generation that counted after a block; undefined before the first. Throws ChainError, also where the block is not final. */
  async generationAt(block: BlockId, signal?: AbortSignal): Promise<PastGeneration | undefined> {
    const followed = this.#following.then(() => this.#readTo(block, signal));
    this.#following = followed.catch(() => {});
    await followed;
    return this.#generations.findLast((change) => change.block <= block.number)?.generation;
  }

  async #readTo(end: BlockId, signal: AbortSignal | undefined): Promise<void> {
    if (end.number <= this.#read) return;
    const final = await this.#view.finalized(signal);
    if (end.number > final.number)
      throw new ChainError('CHAIN_BLOCK_NOT_FINAL', `Block "${end.number}" can still be taken back`, {
        block: end.number,
      });
    const query = {
      address: this.#address,
      abi: gatekeeperCommitteeAbi,
      eventNames: ['HandedOver'],
      fromBlock: this.#read + 1n,
    };
    for (const log of await this.#view.logsUpTo(query, end, signal)) this.#take(log);
    this.#read = end.number;
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
