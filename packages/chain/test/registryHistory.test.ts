import { type BlockId, ChainError, type ChainLog, ChainView, type Head, RegistryHistory } from '@cloister/chain';
import { type Bytes32, zeroBytes32 } from '@cloister/core';
import { beforeEach, describe, expect, test } from 'vitest';

const b32 = (byte: number): Bytes32 => `0x${byte.toString(16).padStart(2, '0').repeat(32)}`;
const signerOf = (byte: number) => `0x${byte.toString(16).padStart(2, '0').repeat(20)}` as const;
type Event = Omit<ChainLog, 'blockNumber'>;

/** A chain of blocks with events in them; a branch replaces blocks from a number on. */
class Chain {
  blocks: { hash: Bytes32; events: Event[] }[] = [];
  finalized = 0;
  /** Ranges longer than this are refused, as many RPCs do. */
  maxRange = Number.POSITIVE_INFINITY;
  readonly asked: (readonly [bigint, bigint])[] = [];
  onLogs: () => void = () => {};

  mine(branch: string, ...events: Event[]): void {
    const number = this.blocks.length;
    this.blocks.push({ hash: `0x${Buffer.from(`${branch}${number}`).toString('hex').padStart(64, '0')}`, events });
  }

  /** A block's number and hash, also of one that is not there. */
  id(number: bigint): BlockId {
    return { number, hash: this.blocks[Number(number)]?.hash ?? b32(0xff) };
  }

  readonly view = Object.assign(new ChainView({ chainId: 1, rpcs: [] }), {
    blockAt: async (number: bigint): Promise<Head> => {
      const block = this.blocks[Number(number)];
      if (block === undefined) throw new ChainError('CHAIN_BLOCK_UNKNOWN', 'no such block', {});
      return { number, hash: block.hash, timestamp: number * 10n };
    },
    finalized: async (): Promise<Head> => this.view.blockAt(BigInt(this.finalized)),
    logs: async ({ fromBlock, toBlock }: { fromBlock: bigint; toBlock: bigint }): Promise<ChainLog[]> => {
      this.asked.push([fromBlock, toBlock]);
      if (Number(toBlock - fromBlock) >= this.maxRange)
        throw new ChainError('CHAIN_UNREACHABLE', 'too many blocks', {});
      const found = this.blocks
        .slice(Number(fromBlock), Number(toBlock) + 1)
        .flatMap(({ events }, index) => events.map((event) => ({ ...event, blockNumber: fromBlock + BigInt(index) })));
      this.onLogs();
      return found;
    },
  });
}

const registered = (worker: number, signer: number, leaseUntil = 1_000n, kinds = 1): Event => ({
  eventName: 'WorkerRegistered',
  args: {
    workerId: b32(worker),
    leaseUntil,
    record: {
      operator: signerOf(0xaa),
      receiptSigner: signerOf(signer),
      platformId: b32(0x10 + worker),
      imageId: b32(0x20),
      teeType: 2,
      kinds,
    },
  },
});
const renewed = (worker: number, leaseUntil: bigint): Event => ({
  eventName: 'WorkerRenewed',
  args: { workerId: b32(worker), leaseUntil },
});
const ended = (
  eventName: 'WorkerEvicted' | 'ReplacedSignerEvicted' | 'WorkerRetired',
  worker: number,
  signer: number,
): Event => ({
  eventName,
  args: { workerId: b32(worker), receiptSigner: signerOf(signer) },
});

let chain: Chain;
let history: RegistryHistory;
beforeEach(() => {
  chain = new Chain();
  history = new RegistryHistory(chain.view, { workerRegistry: signerOf(1) });
});
const at = async (block: bigint) =>
  Object.fromEntries(
    (await history.workersAt(chain.id(block))).map(({ workerId, receiptSigner, active, leaseUntil }) => [
      Number(`0x${workerId.slice(2, 4)}`),
      [receiptSigner.slice(0, 4), active, leaseUntil],
    ]),
  );

describe('the registry at a past block', () => {
  test('is what its events up to then say', async () => {
    chain.mine('a');
    chain.mine('a', registered(1, 0x51), registered(2, 0x52, 900n, 3));
    chain.mine('a', renewed(1, 2_000n));
    chain.mine('a', ended('WorkerRetired', 2, 0x52));
    chain.mine('a', registered(1, 0x53, 2_500n));
    chain.mine('a', ended('WorkerEvicted', 1, 0x53));
    chain.mine('a', registered(1, 0x54, 3_000n));
    expect(await at(0n)).toEqual({});
    expect(await at(1n)).toEqual({ 1: ['0x51', true, 1_000n], 2: ['0x52', true, 900n] });
    expect(await at(2n)).toMatchObject({ 1: ['0x51', true, 2_000n] });
    expect(await at(3n)).toMatchObject({ 2: ['0x52', false, 900n] });
    expect(await at(5n)).toMatchObject({ 1: ['0x53', false, 2_500n] });
    expect(await at(6n)).toMatchObject({ 1: ['0x54', true, 3_000n], 2: ['0x52', false, 900n] });
    // Asked again about the past, it does not say what came later.
    expect(await at(1n)).toMatchObject({ 1: ['0x51', true, 1_000n] });
    expect((await history.workersAt(chain.id(1n)))[1]).toEqual({
      workerId: b32(2),
      operator: signerOf(0xaa),
      receiptSigner: signerOf(0x52),
      platformId: b32(0x12),
      imageId: b32(0x20),
      teeType: 2,
      kinds: 3,
      active: true,
      leaseUntil: 900n,
    });
  });

  test('a signer that was replaced may be evicted without its worker', async () => {
    chain.mine('a', registered(1, 0x51));
    chain.mine('a', registered(1, 0x52));
    chain.mine('a', ended('WorkerEvicted', 1, 0x51));
    expect(await at(2n)).toEqual({ 1: ['0x52', true, 1_000n] });
  });

  test('who was evicted for cause, and until when its lease would run', async () => {
    chain.mine('a', registered(1, 0x51), registered(2, 0x52), registered(3, 0x53));
    chain.mine('a', renewed(1, 2_000n));
    chain.mine('a', registered(1, 0x54, 4_000n));
    chain.mine('a', ended('ReplacedSignerEvicted', 1, 0x51));
    chain.mine('a', ended('WorkerRetired', 2, 0x52), ended('WorkerRetired', 3, 0x53));
    chain.mine('a', ended('WorkerEvicted', 2, 0x52));
    const evicted = async (block: bigint) =>
      (await history.evictedAt(chain.id(block))).map(({ signer, leaseUntil }) => [signer.slice(0, 4), leaseUntil]);
    expect(await evicted(2n)).toEqual([]);
    expect(await evicted(4n)).toEqual([['0x51', 2_000n]]);
    expect(await evicted(5n)).toEqual([
      ['0x51', 2_000n],
      ['0x52', 1_000n],
    ]);
    expect(await evicted(3n)).toEqual([['0x51', 2_000n]]);
    // The worker that replaced its signer goes on.
    expect(await at(5n)).toMatchObject({ 1: ['0x54', true, 4_000n], 2: ['0x52', false, 1_000n] });
  });

  test('one evicted of a worker whose past is forgotten counts as leased for ever', async () => {
    chain.mine('a', registered(1, 0x51));
    for (let signer = 0; signer < 1_100; signer++) chain.mine('a', registered(1, 0x60 + (signer % 2)));
    chain.mine('a', ended('ReplacedSignerEvicted', 1, 0x51));
    const last = BigInt(chain.blocks.length - 1);
    expect(await history.evictedAt(chain.id(last))).toEqual([{ signer: signerOf(0x51), leaseUntil: (1n << 64n) - 1n }]);
  });

  test('a worker that changes without end is forgotten at old blocks, and nobody else is', async () => {
    chain.mine('a', registered(1, 0x51), registered(2, 0x52));
    for (let block = 0; block < 1_100; block++) chain.mine('a', renewed(2, 2_000n), renewed(2, 3_000n + BigInt(block)));
    const last = BigInt(chain.blocks.length - 1);
    expect(await at(last)).toMatchObject({ 1: ['0x51', true, 1_000n], 2: ['0x52', true, 4_099n] });
    expect(await at(last - 1_000n)).toMatchObject({ 2: ['0x52', true, 3_099n] });
    expect(await at(5n)).toEqual({ 1: ['0x51', true, 1_000n] });
  });

  test('knows when the committee’s keys came', async () => {
    chain.mine('a');
    chain.mine('a', { eventName: 'NetworkKeysHashSet', args: { networkKeysHash: b32(7) } });
    chain.mine('a');
    expect(await history.networkKeysHashAt(chain.id(0n))).toBe(zeroBytes32);
    expect(await history.networkKeysHashAt(chain.id(2n))).toBe(b32(7));
    expect(await history.networkKeysHashAt(chain.id(0n))).toBe(zeroBytes32);
  });

  test('reads each block once', async () => {
    for (let block = 0; block < 6; block++) chain.mine('a');
    await at(2n);
    await at(1n);
    await at(5n);
    expect(chain.asked).toEqual([
      [0n, 2n],
      [3n, 5n],
    ]);
  });

  test('questions at the same time read it once, and one that fails leaves the next to try again', async () => {
    for (let block = 0; block < 4; block++) chain.mine('a', registered(block + 1, 0x50 + block));
    await Promise.all([at(3n), at(3n), at(2n)]);
    expect(chain.asked).toEqual([[0n, 3n]]);
    await expect(at(9n)).rejects.toMatchObject({ code: 'CHAIN_BLOCK_UNKNOWN' });
    expect(Object.keys(await at(3n))).toHaveLength(4);
  });

  test('a range that an RPC does not give at once is asked for in halves', async () => {
    chain.maxRange = 100;
    for (let block = 0; block < 300; block++)
      chain.mine('a', ...(block % 50 === 0 ? [registered(block / 50 + 1, block)] : []));
    expect(Object.keys(await at(299n))).toHaveLength(6);
    expect(chain.asked.length).toBeGreaterThan(3);
  });
});

describe('a reorganisation', () => {
  test('is followed: what stood in replaced blocks is gone, what is final stays', async () => {
    chain.mine('a', registered(1, 0x51));
    chain.mine('a', registered(2, 0x52));
    chain.finalized = 1;
    chain.mine('a', registered(3, 0x53), renewed(1, 5_000n));
    expect(Object.keys(await at(2n))).toEqual(['1', '2', '3']);
    chain.blocks.length = 2;
    chain.mine('b', registered(4, 0x54));
    expect(await at(2n)).toEqual({
      1: ['0x51', true, 1_000n],
      2: ['0x52', true, 1_000n],
      4: ['0x54', true, 1_000n],
    });
    // The final part was not read again.
    expect(chain.asked.at(-1)).toEqual([2n, 2n]);
  });

  test('takes an eviction back with its block', async () => {
    chain.mine('a', registered(1, 0x51));
    chain.mine('a', ended('WorkerEvicted', 1, 0x51));
    expect(await history.evictedAt(chain.id(1n))).toHaveLength(1);
    chain.blocks.length = 1;
    chain.mine('b');
    expect(await history.evictedAt(chain.id(1n))).toEqual([]);
  });

  test('to a shorter chain is followed too', async () => {
    for (let block = 0; block < 4; block++) chain.mine('a', registered(block + 1, 0x51 + block));
    await at(3n);
    chain.blocks.length = 2;
    expect(Object.keys(await at(1n))).toEqual(['1', '2']);
    await expect(at(3n)).rejects.toMatchObject({ code: 'CHAIN_BLOCK_UNKNOWN' });
  });

  test('while its events are read is told, and nothing of it stays', async () => {
    chain.mine('a');
    chain.mine('a', registered(1, 0x51));
    chain.onLogs = () => {
      chain.onLogs = () => {};
      chain.blocks.length = 1;
      chain.mine('b', registered(2, 0x52));
    };
    await expect(at(1n)).rejects.toMatchObject({ code: 'CHAIN_SPLIT', retry: true });
    expect(Object.keys(await at(1n))).toEqual(['2']);
  });
});
