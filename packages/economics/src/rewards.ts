import { type Address, type Bytes32, type Keccak256, tagHashWith } from '@cloister/core';
import { keccak256 } from '@cloister/crypto';
import type { MeasuredWorker } from './measured.ts';
import { minimumBond, type WorthRules, workerShare, workerValue } from './worth.ts';

/** A worker that may earn. */
export type EarningWorker = {
  readonly workerId: Bytes32;
  readonly platformId: Bytes32;
  /** Whose pool its rewards go to. */
  readonly operator: Address;
  /** What it has at stake at the epoch's block, in PHA's smallest unit. */
  readonly bond: bigint;
  /** How far its machine is trusted, in ten-thousandths. */
  readonly confidenceBps: bigint;
};

/** What a pool gets for an epoch, at least 1. */
export type PoolReward = { readonly epoch: bigint; readonly operator: Address; readonly amount: bigint };

/** The pools' rewards, ascending by operator, and what roundings left of the budget: nobody's, and never minted. */
export type EpochRewards = {
  readonly rewards: readonly PoolReward[];
  readonly total: bigint;
  readonly surplus: bigint;
};

/**
 * An epoch's budget by its workers' shares. Each worker's part is rounded down, so that all together are at most the budget. A
 * worker without measured work, or whose bond is below the least for its work, has no share. A platform's work is the most that was
 * measured of any of its workers, and all that worked split it evenly: a second worker on a machine adds no work.
 * Throws RangeError for a worker twice.
 */
export function epochRewardsOf(init: {
  readonly epoch: bigint;
  readonly budget: bigint;
  readonly workers: readonly EarningWorker[];
  readonly measured: readonly MeasuredWorker[];
  readonly rules: WorthRules;
}): EpochRewards {
  const { epoch, budget, rules } = init;
  const measured = new Map(
    init.measured.map((one) => [one.workerId, (one.work * BigInt(one.availability)) / 1_000_000n]),
  );
  const ids = new Set(init.workers.map(({ workerId }) => workerId));
  if (ids.size !== init.workers.length) throw new RangeError('Expected every worker once');
  const working = init.workers.filter(({ workerId }) => (measured.get(workerId) ?? 0n) > 0n);
  const platforms = new Map<Bytes32, { most: bigint; workers: bigint }>();
  for (const { workerId, platformId } of working) {
    const work = measured.get(workerId) ?? 0n;
    const platform = platforms.get(platformId) ?? { most: 0n, workers: 0n };
    platforms.set(platformId, {
      most: work > platform.most ? work : platform.most,
      workers: platform.workers + 1n,
    });
  }
  const shares = working.flatMap(({ operator, platformId, bond, confidenceBps }) => {
    const { most, workers } = platforms.get(platformId) ?? { most: 0n, workers: 1n };
    const work = most / workers;
    if (work === 0n || bond < minimumBond(work, rules)) return [];
    return [{ operator, share: workerShare(workerValue(bond, work, confidenceBps, rules), work, confidenceBps) }];
  });
  const sum = shares.reduce((before, { share }) => before + share, 0n);
  const byPool = new Map<Address, bigint>();
  let total = 0n;
  for (const { operator, share } of shares) {
    const amount = sum === 0n ? 0n : (budget * share) / sum;
    byPool.set(operator, (byPool.get(operator) ?? 0n) + amount);
    total += amount;
  }
  const rewards = [...byPool]
    .filter(([, amount]) => amount > 0n)
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([operator, amount]) => ({ epoch, operator, amount }));
  return { rewards, total, surplus: budget - total };
}

/** H("cloister/reward: v1", epoch, operator, amount). The chain is named by the record that holds the root. */
export function rewardLeaf({ epoch, operator, amount }: PoolReward, keccak: Keccak256 = keccak256): Bytes32 {
  return tagHashWith(keccak, 'cloister/reward: v1', [epoch, operator, amount]);
}
