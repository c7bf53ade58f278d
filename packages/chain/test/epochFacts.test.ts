import {
  type BlockId,
  ChainError,
  type ChainLog,
  CommitteeHistory,
  type Head,
  type PastWorker,
  readEpochFacts,
} from '@cloister/chain';
import type { Address, Bytes32 } from '@cloister/core';
import { beforeEach, describe, expect, test } from 'vitest';

const b32 = (byte: number): Bytes32 => `0x${byte.toString(16).padStart(2, '0').repeat(32)}`;
const addr = (byte: number): Address => `0x${byte.toString(16).padStart(2, '0').repeat(20)}`;
const clock = { genesis: 1_000n, epochLength: 100n, roundLength: 10n };

const handedOver = (generation: bigint, blockNumber: bigint, ...members: number[]): ChainLog => ({
  eventName: 'HandedOver',
  blockNumber,
  args: {
    generation,
    threshold: 2,
    operators: members.map((byte) => addr(byte).toUpperCase().replace('0X', '0x')),
    signers: members.map((byte) => addr(byte + 0x10)),
  },
});

let finalized: bigint;
let logs: ChainLog[];
let asked: (readonly [bigint, bigint])[];
/** A block every 30 seconds from the genesis on. */
const blockAt = async (number: bigint): Promise<Head> => ({
  number,
  hash: b32(Number(number)),
  timestamp: 1_000n + 30n * number,
});
const view = {
  blockAt,
  finalized: () => blockAt(finalized),
  blockOn: async (_: BlockId, number: bigint) => blockAt(number),
  logsUpTo: async ({ fromBlock }: { fromBlock: bigint }, { number: toBlock }: BlockId) => {
    asked.push([fromBlock, toBlock]);
    return logs.filter(({ blockNumber }) => blockNumber >= fromBlock && blockNumber <= toBlock);
  },
};
const idOf = (number: bigint): BlockId => ({ number, hash: b32(Number(number)) });
let committee: CommitteeHistory;
beforeEach(() => {
  finalized = 20n;
  logs = [handedOver(1n, 3n, 1, 2, 3), handedOver(2n, 9n, 1, 2)];
  asked = [];
  committee = new CommitteeHistory(view, { gatekeeperCommittee: addr(0xcc) });
});

describe('the committee at a past block', () => {
  test('is what its last handover made', async () => {
    expect(await committee.generationAt(idOf(2n))).toBeUndefined();
    expect(await committee.generationAt(idOf(9n))).toMatchObject({ number: 2n });
    expect(await committee.generationAt(idOf(8n))).toEqual({
      number: 1n,
      threshold: 2,
      members: [1, 2, 3].map((byte) => ({ operator: addr(byte), signer: addr(byte + 0x10) })),
    });
  });

  test('reads each final block once, and no other', async () => {
    await Promise.all([
      committee.generationAt(idOf(4n)),
      committee.generationAt(idOf(6n)),
      committee.generationAt(idOf(5n)),
    ]);
    expect(asked).toEqual([
      [0n, 4n],
      [5n, 6n],
    ]);
    await expect(committee.generationAt(idOf(21n))).rejects.toMatchObject({
      code: 'CHAIN_BLOCK_NOT_FINAL',
      retry: true,
    });
    finalized = 21n;
    expect(await committee.generationAt(idOf(21n))).toMatchObject({ number: 2n });
  });

  test('a failed read leaves the next to try again', async () => {
    const failing = { ...view, logsUpTo: async () => Promise.reject(new ChainError('CHAIN_SPLIT', 'split', {})) };
    const history = new CommitteeHistory(failing, { gatekeeperCommittee: addr(0xcc) });
    await expect(history.generationAt(idOf(9n))).rejects.toMatchObject({ code: 'CHAIN_SPLIT' });
    failing.logsUpTo = view.logsUpTo as never;
    expect(await history.generationAt(idOf(9n))).toMatchObject({ number: 2n });
  });
});

describe('what the chain says of an epoch', () => {
  const worker = (byte: number, changes: Partial<PastWorker> = {}): PastWorker => ({
    workerId: b32(byte),
    operator: addr(0xaa),
    receiptSigner: addr(byte),
    platformId: b32(0x20),
    imageId: b32(0x21),
    teeType: 2,
    kinds: 1,
    active: true,
    leaseUntil: 5_000n,
    ...changes,
  });
  let askedAt: bigint[];
  const read = (epoch: bigint) =>
    readEpochFacts(
      {
        view,
        committee,
        clock,
        registry: {
          workersAt: async ({ number }) => {
            askedAt.push(number);
            return [worker(1), worker(2, { active: false }), worker(3, { leaseUntil: 1_210n }), worker(4)];
          },
          evictedAt: async () => [
            { signer: addr(0xe1), leaseUntil: 1_211n },
            { signer: addr(0xe2), leaseUntil: 1_210n },
          ],
        },
      },
      epoch,
    );
  beforeEach(() => {
    askedAt = [];
  });

  test('is as of the first block after it', async () => {
    // Epoch 1 ends at 1,200; blocks 6 and 7 are of 1,180 and 1,210.
    const facts = await read(1n);
    expect(facts).toMatchObject({ epoch: 1n, endsAt: 1_200n, firstRound: 10n, block: 7n, blockHash: b32(7) });
    expect(facts?.generation?.number).toBe(1n);
    expect(askedAt).toEqual([7n]);
  });

  test('has who was active and leased, and who was evicted and would still be leased', async () => {
    const facts = await read(1n);
    expect(facts?.workers.map(({ workerId }) => workerId)).toEqual([b32(1), b32(4)]);
    expect(facts?.workers[0]).toEqual({
      workerId: b32(1),
      signer: addr(1),
      platformId: b32(0x20),
      operator: addr(0xaa),
      teeType: 2,
      stake: 1n,
    });
    expect(facts?.evicted).toEqual([addr(0xe1)]);
  });

  test('is not there while its end is not final', async () => {
    finalized = 6n;
    expect(await read(1n)).toBeUndefined();
    finalized = 7n;
    expect(await read(1n)).toBeDefined();
  });
});
