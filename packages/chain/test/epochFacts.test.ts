import {
  type BlockId,
  BondHistory,
  ChainError,
  type ChainLog,
  type ChainView,
  CommitteeHistory,
  type Head,
  noEarners,
  type PastWorker,
  type RunningBond,
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
let reads: string[];
let answers: Record<string, (args: readonly unknown[]) => unknown>;
let bonds: Map<Bytes32, RunningBond>;
const contracts = {
  workerRegistry: addr(0xd0),
  stakePools: addr(0xd1),
  workerBonds: addr(0xd2),
  emission: addr(0xd3),
  epochRecords: addr(0xd4),
};
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
  read: (async ({ address, functionName, args, block }: { [key: string]: unknown }) => {
    reads.push(`${functionName}(${args}) at ${block}`);
    const answer = answers[functionName as string];
    if (answer === undefined) throw new Error(`nobody answers ${functionName} of ${address}`);
    return answer(args as readonly unknown[]);
  }) as ChainView['read'],
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
  reads = [];
  answers = {};
  bonds = new Map();
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
    platformKey: b32(0x22),
    tcb: b32(0x23),
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
        contracts,
        bonds: { runningAt: async () => bonds },
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

  test('has nobody who earns where nobody is bonded, and asks no contract for it', async () => {
    expect((await read(1n))?.earners).toEqual(noEarners);
    expect(reads).toEqual([]);
  });

  describe('has who may earn', () => {
    const running = (byte: number, bond: bigint) =>
      [b32(byte), { workerId: b32(byte), pool: addr(0xaa), bond }] as const;
    let digestBefore: Bytes32;
    beforeEach(() => {
      digestBefore = b32(9);
      answers = {
        k: () => 7n,
        splitOf: () => ({ treasury: addr(1), treasuryBps: 1_999, gatekeepers: addr(2), gatekeepersBps: 501 }),
        emittedAfter: ([elapsed]) => 10n * (elapsed as bigint) + 3n,
        digestOf: () => digestBefore,
        teePolicyOf: () => ({ verifier: addr(0xd5) }),
        recheck: () => [2, 17, 9n],
      };
      bonds = new Map([running(1, 50n), running(2, 60n), running(4, 70n), running(9, 80n)]);
    });

    test('of those that were active and leased, with the budget and k of that block', async () => {
      const facts = await read(1n);
      expect(facts?.earners).toEqual({
        // 1,000 less 199 for the treasury and 50 for the gatekeepers.
        budget: 751n,
        bondFactor: 7n,
        workers: [1, 4].map((byte) => ({
          workerId: b32(byte),
          platformId: b32(0x20),
          operator: addr(0xaa),
          bond: byte === 1 ? 50n : 70n,
          tcbStatus: 2,
        })),
      });
      expect(facts?.workers.map(({ stake }) => stake)).toEqual([50n, 70n]);
      expect(reads.every((one) => one.endsWith(' at 7'))).toBe(true);
      // One machine is judged once.
      expect(reads.filter((one) => one.startsWith('recheck'))).toEqual([`recheck(${b32(0x22)},${b32(0x23)}) at 7`]);
    });

    test('with the time of the epoch before where that has no record', async () => {
      digestBefore = b32(0);
      expect((await read(1n))?.earners).toMatchObject({ budget: 1_502n - 1n + 0n });
      expect(reads).toContain('digestOf(0) at 7');
      // The first epoch has none before it.
      reads = [];
      await read(0n);
      expect(reads.some((one) => one.startsWith('digestOf'))).toBe(false);
    });

    test('without a verdict where the contract refuses, and not at all where it is not known', async () => {
      answers.recheck = () => {
        throw new ChainError('CHAIN_READ_REVERTED', 'no collateral', {});
      };
      expect((await read(1n))?.earners.workers.map(({ tcbStatus }) => tcbStatus)).toEqual([0, 0]);
      answers.teePolicyOf = () => ({ verifier: addr(0) });
      expect((await read(1n))?.earners.workers.map(({ tcbStatus }) => tcbStatus)).toEqual([0, 0]);
      answers.teePolicyOf = () => {
        throw new ChainError('CHAIN_SPLIT', 'split', {});
      };
      await expect(read(1n)).rejects.toMatchObject({ code: 'CHAIN_SPLIT' });
    });
  });

  test('is not there while its end is not final', async () => {
    finalized = 6n;
    expect(await read(1n)).toBeUndefined();
    finalized = 7n;
    expect(await read(1n)).toBeDefined();
  });
});

describe('bonds at a past block', () => {
  const bondEvent = (blockNumber: bigint, eventName: string, args: object): ChainLog => ({
    eventName,
    blockNumber,
    args: { workerId: b32(1), pool: addr(0xaa).toUpperCase().replace('0X', '0x'), ...args },
  });
  const bondsAt = async (block: bigint) => {
    const history = new BondHistory(view, { workerBonds: contracts.workerBonds });
    return [...(await history.runningAt(idOf(block))).values()];
  };

  test('are those of running workers, as they were raised and slashed', async () => {
    logs = [
      bondEvent(2n, 'WorkerStarted', { bond: 100n }),
      bondEvent(4n, 'BondRaised', { bond: 150n }),
      bondEvent(6n, 'BondSeized', { seizureId: 1n, moved: 50n, left: 100n }),
      bondEvent(8n, 'WorkerStopped', { freeAt: 99 }),
      bondEvent(10n, 'BondReleased', { bond: 100n }),
      bondEvent(12n, 'WorkerStarted', { bond: 7n }),
      // All of it: the worker stops before it is said what is left.
      bondEvent(14n, 'WorkerStopped', { freeAt: 99 }),
      bondEvent(14n, 'BondSeized', { seizureId: 2n, moved: 7n, left: 0n }),
    ];
    const seen = await Promise.all([1n, 3n, 5n, 7n, 9n, 11n, 13n, 15n].map(bondsAt));
    expect(seen.map(([first]) => first?.bond)).toEqual([
      undefined,
      100n,
      150n,
      100n,
      undefined,
      undefined,
      7n,
      undefined,
    ]);
    expect(seen[1]).toEqual([{ workerId: b32(1), pool: addr(0xaa), bond: 100n }]);
  });

  test('are not told of a block that can be taken back', async () => {
    await expect(bondsAt(21n)).rejects.toMatchObject({ code: 'CHAIN_BLOCK_NOT_FINAL' });
  });
});
