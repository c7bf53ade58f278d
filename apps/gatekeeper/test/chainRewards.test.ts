import { type ChainAccount, type ChainLog, type ChainView, onChainRecord } from '@cloister/chain';
import type { Address, Bytes32, EpochRecord, NetworkFile } from '@cloister/core';
import { beforeEach, expect, test } from 'vitest';
import { ChainRewards } from '../src/epochs/chainRewards.ts';

const address = (byte: number): Address => `0x${byte.toString(16).padStart(2, '0').repeat(20)}`;
const b32 = (byte: number): Bytes32 => `0x${byte.toString(16).padStart(2, '0').repeat(32)}`;
const contracts = {
  epochRecords: address(0xc7),
  emission: address(0xd5),
  epochRewards: address(0xd6),
  storageRent: address(0xd7),
  governor: address(0xd8),
} as NetworkFile['contracts'];
const signal = new AbortController().signal;
const recordOf = (epoch: bigint): EpochRecord => ({
  epoch,
  attempt: 1,
  block: 90n,
  blockHash: b32(1),
  beacon: b32(2),
  measurementsRoot: b32(3),
  directoryRoot: b32(4),
  rewardsRoot: b32(7),
  evictionRoot: b32(5),
  releaseLogRoot: b32(6),
  totals: { members: 3, workers: 2, stake: 2n, work: 9n, rewards: 5n },
});

let finalized: bigint;
let posted: bigint[];
let answers: Record<string, unknown>;
let asked: unknown[];
let blocksRead: bigint[];
let written: unknown[];
let chain: ChainRewards;
beforeEach(() => {
  [finalized, posted, answers, asked, blocksRead, written] = [100n, [], {}, [], [], []];
  const block = (number: bigint) => ({ number, hash: b32(Number(number % 200n)), timestamp: 1_000n + 10n * number });
  const view = {
    finalized: async () => block(finalized),
    blockAt: async (number: bigint) => {
      blocksRead.push(number);
      return block(number);
    },
    // Epoch N's record stands in block N.
    logsUpTo: async ({ fromBlock }: { fromBlock: bigint }, { number }: { number: bigint }): Promise<ChainLog[]> =>
      posted
        .filter((epoch) => epoch >= fromBlock && epoch <= number)
        .map((epoch) => ({
          eventName: 'EpochRecorded',
          blockNumber: epoch,
          args: { epoch, digest: b32(0xd0), record: onChainRecord(recordOf(epoch)) },
        })),
    read: async ({ address: of, functionName, args }: { address: Address; functionName: string; args: unknown }) => {
      asked.push([of, functionName, args]);
      return answers[functionName];
    },
  };
  const operator = { write: async (call: unknown) => written.push(call) };
  chain = new ChainRewards(view as unknown as ChainView, operator as unknown as ChainAccount, contracts);
});

test('knows the last 24 records that are final, and when each was posted', async () => {
  posted = Array.from({ length: 30 }, (_, index) => BigInt(index + 1));
  posted.push(101n);
  const recorded = await chain.recorded(signal);
  expect(recorded.map(({ record }) => record.epoch)).toEqual(posted.slice(6, 30));
  expect(recorded[0]).toEqual({ record: recordOf(7n), digest: b32(0xd0), postedAt: 1_070n });
  // What is known is not asked for again.
  const before = blocksRead.length;
  finalized = 101n;
  expect((await chain.recorded(signal)).at(-1)?.record.epoch).toBe(101n);
  expect(blocksRead.slice(before)).toEqual([101n]);
});

test('reads pots and claims of the contract of rewards, and parts of the emission', async () => {
  answers = {
    potOf: { root: b32(1), left: 3n, claimableAt: 77n, blocked: true },
    isClaimed: true,
    splitOf: { treasury: address(1), treasuryBps: 0, gatekeepers: address(2), gatekeepersBps: 1 },
  };
  expect(await chain.potOf(7n, signal)).toEqual({ claimableAt: 77n, isBlocked: true });
  expect(await chain.isClaimed(7n, address(9), signal)).toBe(true);
  expect(await chain.paysOthers(7n, signal)).toBe(true);
  answers.splitOf = { treasuryBps: 0, gatekeepersBps: 0 };
  expect(await chain.paysOthers(7n, signal)).toBe(false);
  expect(asked.slice(0, 3)).toEqual([
    [contracts.epochRewards, 'potOf', [7n]],
    [contracts.epochRewards, 'isClaimed', [7n, address(9)]],
    [contracts.emission, 'splitOf', [7n]],
  ]);
  expect(await chain.finalTimestamp(signal)).toBe(2_000n);
});

test('opens with the whole record, and claims leaves with their proofs', async () => {
  await chain.open(recordOf(7n), signal);
  const reward = { epoch: 7n, operator: address(9), amount: 5n, proof: [b32(1), b32(2)] };
  await chain.claimMany(7n, [reward, { ...reward, operator: address(8) }], signal);
  expect(written).toMatchObject([
    { address: contracts.epochRewards, functionName: 'open', args: [onChainRecord(recordOf(7n))] },
    {
      address: contracts.epochRewards,
      functionName: 'claimMany',
      args: [
        7n,
        [
          { operator: address(9), amount: 5n, proof: [b32(1), b32(2)] },
          { operator: address(8), amount: 5n, proof: [b32(1), b32(2)] },
        ],
      ],
    },
  ]);
});
