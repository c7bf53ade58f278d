import { type Address, type Bytes32, CloisterError, epochProposerAt, merkleProof, merkleTree } from '@cloister/core';
import { keccak256 } from '@cloister/crypto/fast-keccak';
import { rewardLeaf, rewardsOfLeaves } from '@cloister/economics';
import type { Logger } from '@cloister/service';
import type { CommitteeState } from '../committeeState.ts';
import { Turns } from '../turns.ts';
import { maxRewardsPerClaim, type ProvenReward, type RecordedEpoch, type RewardChain } from './rewardChain.ts';

export type RewardComponents = {
  readonly chain: RewardChain;
  readonly operator: Address;
  readonly state: () => CommitteeState | undefined;
  /** The leaves of a record that this member signed, by its digest. */
  readonly leaves: (digest: Bytes32) => Promise<unknown>;
  readonly log: Logger;
};

/**
 * Carries records out: fills each epoch's pot, and when its challenge time is over pushes every pool's reward into the pool. Members take
 * turns of a minute, the record's proposer first, and each tries once in its turn: whatever one leaves undone the next one does.
 *
 * Gatekeepers push the claims, not operators: what backers earn must not hang on an operator that has gone. They have the leaves at hand, and
 * a part of each epoch's emission is theirs. Anybody else may do all of it as well.
 */
export class RewardKeeper {
  readonly #components: RewardComponents;
  /** Epochs of which nothing is left to do. */
  readonly #done = new Set<bigint>();
  readonly #turns: Turns<bigint>;

  constructor(components: RewardComponents) {
    this.#components = components;
    this.#turns = new Turns(components);
  }

  /** Does what is this member's to do now. */
  async tick(signal: AbortSignal): Promise<void> {
    const { chain } = this.#components;
    const recorded = await chain.recorded(signal);
    this.#forget(recorded);
    const now = await chain.finalTimestamp(signal);
    for (const epoch of recorded) {
      if (this.#done.has(epoch.record.epoch)) continue;
      try {
        await this.#carryOut(epoch, now, signal);
      } catch (error) {
        if (signal.aborted || !(error instanceof CloisterError)) throw error;
        // Somebody else was faster, or it is for the next turn.
        this.#components.log.warn('rewards: not carried out', { epoch: epoch.record.epoch, error });
      }
    }
  }

  async #carryOut(recorded: RecordedEpoch, now: bigint, signal: AbortSignal): Promise<void> {
    const { chain, log } = this.#components;
    const { record } = recorded;
    const { epoch } = record;
    if (!this.#takesTurn(recorded, now)) return;
    const { claimableAt, isBlocked } = await chain.potOf(epoch, signal);
    if (claimableAt === 0n) {
      if (record.totals.rewards === 0n && !(await chain.paysOthers(epoch, signal))) return void this.#done.add(epoch);
      await chain.open(record, signal);
      log.info('rewards: pot filled', { epoch, rewards: record.totals.rewards });
      return;
    }
    if (record.totals.rewards === 0n) return void this.#done.add(epoch);
    if (isBlocked || now < claimableAt) return;
    await this.#claim(recorded, signal);
  }

  async #claim({ record, digest }: RecordedEpoch, signal: AbortSignal): Promise<void> {
    const { chain, leaves } = this.#components;
    const served = (await leaves(digest)) as { readonly rewardsRoot?: unknown } | undefined;
    const rewards = rewardsOfLeaves(served?.rewardsRoot, record.rewardsRoot, keccak256);
    // A member that signed another record, or none, has not the leaves of this one.
    if (rewards === undefined) return;
    const tree = merkleTree(
      rewards.map((reward) => rewardLeaf(reward, keccak256)),
      keccak256,
    );
    const open: ProvenReward[] = [];
    for (const [index, reward] of rewards.entries())
      if (!(await chain.isClaimed(record.epoch, reward.operator, signal)))
        open.push({ ...reward, proof: merkleProof(tree, index) });
    for (let from = 0; from < open.length; from += maxRewardsPerClaim)
      await this.#push(record.epoch, open.slice(from, from + maxRewardsPerClaim), signal);
    // What was sent just now may yet be taken back: it is looked at once more.
    if (open.length === 0) this.#done.add(record.epoch);
  }

  async #push(epoch: bigint, rewards: readonly ProvenReward[], signal: AbortSignal): Promise<void> {
    const { chain, log } = this.#components;
    const pools = rewards.length;
    try {
      await chain.claimMany(epoch, rewards, signal);
      log.info('rewards: claimed', { epoch, pools });
    } catch (error) {
      if (signal.aborted || !(error instanceof CloisterError)) throw error;
      // The others are not kept waiting.
      log.warn('rewards: not claimed', { epoch, pools, error });
    }
  }

  #takesTurn({ record, postedAt }: RecordedEpoch, now: bigint): boolean {
    const first = (members: number) => epochProposerAt(record.beacon, record.attempt, members);
    return this.#turns.takes({ key: record.epoch, since: postedAt, first }, now);
  }

  #forget(recorded: readonly RecordedEpoch[]): void {
    const known = new Set(recorded.map(({ record }) => record.epoch));
    for (const epoch of this.#done) if (!known.has(epoch)) this.#done.delete(epoch);
    this.#turns.keepOnly(known);
  }
}
