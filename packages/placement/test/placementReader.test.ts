import { ChainError, type Head, type PastWorker, type RegistryHistory, type RegistryReader } from '@cloister/chain';
import { type Bytes32, tagHash, zeroBytes32 } from '@cloister/core';
import { placementOf } from '@cloister/economics';
import { PlacementReader } from '@cloister/placement';
import { beforeEach, describe, expect, test } from 'vitest';

const id = (name: string, index: number): Bytes32 => tagHash(`test/${name}: v1`, BigInt(index));
const app = id('app', 1);
const signal = new AbortController().signal;
const clock = { genesis: 1_000n, epochLength: 100n, roundLength: 10n };
const rules = {
  kind: 'function' as const,
  placement: { replicas: 2, teeTypes: ['tdx' as const], minTcbEvaluationDataNumber: 0, distinct: [] },
};

/** A chain with a block every 2 seconds, five workers since its first block, and an app deployed at 1,004. */
class World {
  branch = 0;
  newest = 30n;
  createdAt = 1_004n;
  keysSince = 0n;
  workers = (_block: bigint): PastWorker[] => Array.from({ length: 5 }, (_, index) => this.worker(index));
  /** Rounds that were asked for. */
  readonly rounds: bigint[] = [];
  blockReads = 0;

  worker(index: number, changes: Partial<PastWorker> = {}): PastWorker {
    return {
      workerId: id('worker', index),
      operator: `0x${(index + 1).toString(16).padStart(40, '0')}`,
      receiptSigner: `0x${(index + 100).toString(16).padStart(40, '0')}`,
      platformId: id('platform', index),
      platformKey: id('platform-key', index),
      tcb: id('tcb', index),
      imageId: id('image', 0),
      teeType: 2,
      kinds: 1,
      active: true,
      leaseUntil: 9_000n,
      ...changes,
    };
  }

  block(number: bigint): Head {
    return { number, hash: id(`block-${this.branch}`, Number(number)), timestamp: 1_000n + 2n * number };
  }

  get head(): Head {
    return this.block(this.newest);
  }

  async blockAt(number: bigint): Promise<Head> {
    this.blockReads += 1;
    if (number > this.newest) throw new ChainError('CHAIN_BLOCK_UNKNOWN', 'no such block', {});
    return this.block(number);
  }

  reader(termEpochs = 24n): PlacementReader {
    const registry = {
      appCreatedAt: async () => this.createdAt,
      view: {
        blockAt: (number: bigint) => this.blockAt(number),
        blockOn: (_: unknown, number: bigint) => this.blockAt(number),
      },
    } as unknown as RegistryReader;
    const history = {
      workersAt: async ({ number }: Head) => this.workers(number),
      networkKeysHashAt: async ({ number }: Head) => (number >= this.keysSince ? id('keys', 1) : zeroBytes32),
    } as unknown as RegistryHistory;
    const randomness = async (round: bigint) => {
      this.rounds.push(round);
      return id('randomness', Number(round));
    };
    return new PlacementReader({ registry, history, randomness, clock, termEpochs });
  }

  /** Whom the seed draws of these workers. */
  drawn(seed: Bytes32, workers = this.workers(0n)): Bytes32[] {
    const atStart = workers.map((worker) => ({ ...worker, weight: 1n }));
    return placementOf({ app, rules, seed, atStart, startsAt: 1_004n, holdsNow: () => true });
  }
}

let world: World;
beforeEach(() => {
  world = new World();
});
const place = (reader = world.reader()) => reader.placementOf(app, rules, world.head, signal);

describe('an app’s hosts', () => {
  test('are drawn by the first round after its deployment, of the workers at the block of it', async () => {
    const asked: bigint[] = [];
    const { workers } = world;
    world.workers = (block) => {
      asked.push(block);
      return workers(block);
    };
    const { hosts, term, first, seed } = await place();
    expect(term).toEqual({ number: 0n, startsAt: 1_004n, seedRound: 1n });
    expect(first.number).toBe(2n);
    expect(seed).toBe(id('randomness', 1));
    expect(asked).toEqual([2n, 30n]);
    expect(hosts).toEqual(world.drawn(id('randomness', 1)));
  });

  test('are none before that round has begun, however the question is put', async () => {
    world.newest = 4n; // 1,008
    const reader = world.reader();
    for (let attempt = 0; attempt < 3; attempt++)
      await expect(place(reader)).rejects.toMatchObject({
        code: 'PLACEMENT_PENDING',
        retry: true,
        message: expect.stringContaining('round "1", which begins in 2 s'),
      });
    expect(world.rounds).toEqual([]);
    world.newest = 5n;
    expect((await place(reader)).hosts).toHaveLength(2);
  });

  test('are drawn by the hash of the next block where there was no committee yet', async () => {
    world.keysSince = 3n;
    expect((await place()).seed).toBe(world.block(3n).hash);
    expect(world.rounds).toEqual([]);
    world.newest = 2n;
    await expect(place()).rejects.toMatchObject({ code: 'PLACEMENT_PENDING' });
    world.newest = 3n;
    expect((await place()).hosts).toEqual(world.drawn(world.block(3n).hash));
  });

  test('change with the term, which ends at the app’s own turn', async () => {
    world.newest = 400n; // 1,800, epoch 8
    const { term, first } = await place(world.reader(1n));
    expect(term).toEqual({ number: 8n, startsAt: 1_800n, seedRound: 80n });
    expect(first).toEqual(world.block(400n));
    expect(world.rounds).toEqual([80n]);
  });

  test('whoever has left since is skipped at once, and whoever came since waits for the next term', async () => {
    const before = (await place()).hosts;
    const { workers } = world;
    world.workers = (block) => {
      const all = workers(block);
      if (block < 30n) return all;
      const [gone] = before;
      return [...all.map((one) => (one.workerId === gone ? { ...one, active: false } : one)), world.worker(9)];
    };
    const after = (await place()).hosts;
    expect(after).not.toContain(before[0]);
    expect(after).toContain(before[1]);
    expect(after).not.toContain(id('worker', 9));
    world.workers = (block) => workers(block).map((one) => ({ ...one, leaseUntil: block < 30n ? 9_000n : 1_060n }));
    expect((await place()).hosts).toEqual([]);
  });

  test('are read once a term, and anew where the chain has replaced its first block', async () => {
    const reader = world.reader();
    const before = await place(reader);
    const reads = world.blockReads;
    await place(reader);
    expect(world.blockReads).toBe(reads + 1);
    expect(world.rounds).toEqual([1n]);
    world.branch = 1;
    const after = await place(reader);
    expect(after.first.hash).not.toBe(before.first.hash);
    expect(world.rounds).toEqual([1n, 1n]);
  });

  test('are none where the randomness can’t be had', async () => {
    const reader = world.reader();
    world.rounds.push = () => {
      throw Object.assign(new Error('too few members'), { code: 'BEACON_UNAVAILABLE' });
    };
    await expect(place(reader)).rejects.toMatchObject({ code: 'BEACON_UNAVAILABLE' });
  });
});
