import {
  type ChainAccount,
  type ChainLog,
  type ChainView,
  emissionAbi,
  epochRecordsAbi,
  epochRewardsAbi,
  FinalLogs,
  onChainRecord,
  type PostedRecord,
  postedRecord,
} from '@cloister/chain';
import type { Address, EpochRecord, NetworkFile } from '@cloister/core';
import type { ProvenReward, RecordedEpoch, RewardChain, RewardPot } from './rewardChain.ts';

/** Records that are carried out: those of which members keep the leaves. */
const keptRecords = 24;

/** The contracts of emission and rewards, read as everything that members decide by, and written to from the operator's account. */
export class ChainRewards implements RewardChain {
  readonly #view: ChainView;
  readonly #operator: ChainAccount;
  readonly #contracts: NetworkFile['contracts'];
  readonly #logs: FinalLogs;
  readonly #posted: PostedRecord[] = [];
  readonly #times = new Map<bigint, bigint>();

  constructor(view: ChainView, operator: ChainAccount, contracts: NetworkFile['contracts']) {
    this.#view = view;
    this.#operator = operator;
    this.#contracts = contracts;
    const query = { address: contracts.epochRecords, abi: epochRecordsAbi, eventNames: ['EpochRecorded'] };
    this.#logs = new FinalLogs(view, query, (log: ChainLog) => {
      this.#posted.push(postedRecord(log));
      if (this.#posted.length > keptRecords) this.#times.delete(this.#posted.shift()?.postedAt ?? -1n);
    });
  }

  async finalTimestamp(signal: AbortSignal): Promise<bigint> {
    return (await this.#view.finalized(signal)).timestamp;
  }

  async recorded(signal: AbortSignal): Promise<readonly RecordedEpoch[]> {
    await this.#logs.follow(await this.#view.finalized(signal), signal);
    return Promise.all(
      this.#posted.map(async ({ record, digest, postedAt }) => ({
        record,
        digest,
        postedAt: await this.#timeOf(postedAt, signal),
      })),
    );
  }

  async paysOthers(epoch: bigint, signal: AbortSignal): Promise<boolean> {
    const emission = { address: this.#contracts.emission, abi: emissionAbi } as const;
    const split = await this.#view.read({ ...emission, functionName: 'splitOf', args: [epoch] }, signal);
    return split.treasuryBps > 0 || split.gatekeepersBps > 0;
  }

  async potOf(epoch: bigint, signal: AbortSignal): Promise<RewardPot> {
    const pot = await this.#view.read({ ...this.#rewards, functionName: 'potOf', args: [epoch] }, signal);
    return { claimableAt: pot.claimableAt, isBlocked: pot.blocked };
  }

  isClaimed(epoch: bigint, operator: Address, signal: AbortSignal): Promise<boolean> {
    return this.#view.read({ ...this.#rewards, functionName: 'isClaimed', args: [epoch, operator] }, signal);
  }

  async open(record: EpochRecord, signal: AbortSignal): Promise<void> {
    const args = [onChainRecord(record)] as const;
    await this.#operator.write({ ...this.#rewards, functionName: 'open', args }, signal);
  }

  async claimMany(epoch: bigint, rewards: readonly ProvenReward[], signal: AbortSignal): Promise<void> {
    const args = [
      epoch,
      rewards.map(({ operator, amount, proof }) => ({ operator, amount, proof: [...proof] })),
    ] as const;
    await this.#operator.write({ ...this.#rewards, functionName: 'claimMany', args }, signal);
  }

  get #rewards() {
    return { address: this.#contracts.epochRewards, abi: epochRewardsAbi } as const;
  }

  async #timeOf(block: bigint, signal: AbortSignal): Promise<bigint> {
    const known = this.#times.get(block) ?? (await this.#view.blockAt(block, signal)).timestamp;
    this.#times.set(block, known);
    return known;
  }
}
