import {
  type Address,
  type Bytes32,
  type Keccak256,
  merkleRoot,
  SchemaError,
  tagHashWith,
  schema as z,
} from '@cloister/core';
import { keccak256 } from '@cloister/crypto';
import type { MeasuredWorker } from './measured.ts';
import { earningShare, payoutOf, type WorthRules } from './worth.ts';

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
  /** What it is worth by its history, where values are carried on; without it, what it is worth on entry. */
  readonly value?: bigint;
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
 * worker without measured work has no share, and work beyond what its bond covers does not count. A platform's work is the most
 * that was measured of any of its workers, and all that worked split its share evenly: a second worker on a machine adds nothing, and its
 * bond must be a whole one all the same.
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
  const platforms = new Map<Bytes32, { work: bigint; workers: bigint }>();
  for (const { workerId, platformId } of working) {
    const work = measured.get(workerId) ?? 0n;
    const platform = platforms.get(platformId) ?? { work: 0n, workers: 0n };
    platforms.set(platformId, {
      work: work > platform.work ? work : platform.work,
      workers: platform.workers + 1n,
    });
  }
  const shares = working.map((worker) => {
    const machine = platforms.get(worker.platformId) ?? { work: 0n, workers: 1n };
    return { operator: worker.operator, share: earningShare(worker, machine, rules) };
  });
  const sum = shares.reduce((before, { share }) => before + share, 0n);
  const byPool = new Map<Address, bigint>();
  let total = 0n;
  for (const { operator, share } of shares) {
    const amount = payoutOf(budget, share, sum);
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

const maxPools = 200_000;
const rewardLeavesJson = z
  .array(
    z.strictObject({
      leaf: z.bytes32,
      says: z.strictObject({ epoch: z.uintString(64), operator: z.address, amount: z.uintString(128) }),
    }),
  )
  .check(z.refineArray(0, maxPools));

/**
 * The rewards that leaves say which somebody serves, integers as such or as decimal strings; undefined where these leaves do not make the
 * root, whatever they say.
 */
export function rewardsOfLeaves(
  leaves: unknown,
  root: Bytes32,
  keccak: Keccak256 = keccak256,
): readonly PoolReward[] | undefined {
  const decimal = (_: string, value: unknown) => (typeof value === 'bigint' ? value.toString() : value);
  try {
    const read = z.parseWith(
      rewardLeavesJson,
      JSON.parse(JSON.stringify(leaves ?? null, decimal)),
      'leaves of rewards',
    );
    const rewards = read.map(({ says }) => says);
    const own = merkleRoot(
      rewards.map((reward) => rewardLeaf(reward, keccak)),
      keccak,
    );
    return own === root ? rewards : undefined;
  } catch (error) {
    if (error instanceof SchemaError) return undefined;
    throw error;
  }
}
