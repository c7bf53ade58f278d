import { merkleProof, merkleTree } from '@cloister/core';
import {
  emissionPeriodSeconds,
  emissionTotal,
  emittedAfter,
  epochEmission,
  rewardLeaf,
  splitEmission,
} from '@cloister/economics';
import { addr } from '../../packages/core/test/helpers.ts';

const hour = 3600n;

/** The emission's schedule, budgets and splits of epochs of an hour, and a tree of rewards. */
export function emissionVectors(): object {
  const period = emissionPeriodSeconds;
  const moments = [0n, 1n, 86_400n, period - 1n, period, period + 7n, 9n * period + 1n, 209n * period, 500n * period];
  // The last epoch of the first period and its neighbours, and one that comes when the schedule has ended.
  const epochs = [0n, 1n, 4318n, 4319n, 4320n, 4321n, 1_000_000n];
  const budgets = epochs.flatMap((epoch) =>
    [true, false].map((hasRecordBefore) => {
      const budget = epochEmission(epoch, hour, hasRecordBefore);
      return {
        epoch,
        hasRecordBefore,
        budget,
        ...splitEmission(budget, { treasuryBps: 2_001n, gatekeepersBps: 503n }),
      };
    }),
  );
  const rewards = [1n, 10n ** 18n, 2n ** 128n - 1n].map((amount, index) => ({
    epoch: 7n,
    operator: addr(0x91 + index),
    amount,
  }));
  const tree = merkleTree(rewards.map((reward) => rewardLeaf(reward)));
  return {
    comment:
      'The emission, version 1. Times in seconds, amounts in the token’s smallest unit, shares of 2001 and 503 basis points.',
    total: emissionTotal(),
    schedule: moments.map((elapsed) => ({ elapsed, emitted: emittedAfter(elapsed) })),
    epochLength: hour,
    budgets,
    rewards: {
      root: tree.root,
      leaves: rewards.map((reward, index) => ({
        ...reward,
        leaf: rewardLeaf(reward),
        proof: merkleProof(tree, index),
      })),
    },
  };
}
