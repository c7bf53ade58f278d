import {
  type BlockId,
  ChainError,
  type ChainLog,
  type ChainView,
  type Head,
  paidStorage,
  StorageRentals,
} from '@cloister/chain';
import type { Address, Bytes32 } from '@cloister/core';
import { beforeEach, describe, expect, test } from 'vitest';

const b32 = (byte: number): Bytes32 => `0x${byte.toString(16).padStart(2, '0').repeat(32)}`;
const addr = (byte: number): Address => `0x${byte.toString(16).padStart(2, '0').repeat(20)}`;
const gateway = addr(0xab);
const [app, otherApp] = [b32(1), b32(2)];

type Bought = { readonly app?: Bytes32; readonly gateway?: Address; readonly size?: bigint };

const prepaid = (id: bigint, blockNumber: bigint, from: number, until: number, changes: Bought = {}): ChainLog => ({
  eventName: 'Prepaid',
  blockNumber,
  args: {
    rental: id,
    app,
    // As viem gives it.
    gateway: `0x${'AB'.repeat(20)}`,
    payer: addr(1),
    size: 100n,
    pricePerEpoch: 1n,
    fromEpoch: from,
    untilEpoch: until,
    ...changes,
  },
});
const cancelled = (id: bigint, blockNumber: bigint, until: number): ChainLog => ({
  eventName: 'Cancelled',
  blockNumber,
  args: { rental: id, untilEpoch: until, refund: 1n },
});

let logs: ChainLog[];
let [headNumber, finalNumber] = [0n, 0n];
let asked: (readonly [bigint, bigint])[];
let reachable = true;
/** A block a second, an epoch each ten. */
const blockAt = (number: bigint): Head => ({ number, hash: b32(Number(number)), timestamp: 1_000n + number });
const view = {
  head: async () => {
    if (!reachable) throw new ChainError('CHAIN_UNREACHABLE', 'gone', {});
    return blockAt(headNumber);
  },
  finalized: async () => blockAt(finalNumber),
  read: (async ({ functionName }: { functionName: string }) =>
    functionName === 'genesis' ? 1_000n : 10) as ChainView['read'],
  logsUpTo: async ({ fromBlock }: { fromBlock: bigint }, { number: toBlock }: BlockId) => {
    asked.push([fromBlock, toBlock]);
    return logs.filter(({ blockNumber }) => blockNumber >= fromBlock && blockNumber <= toBlock);
  },
};
let rentals: StorageRentals;
beforeEach(() => {
  [logs, asked, reachable] = [[], [], true];
  [headNumber, finalNumber] = [25n, 20n];
  rentals = new StorageRentals({ view, contracts: { storageRent: addr(9) }, gateway, graceEpochs: 1 });
});

describe('the storage that a gateway is paid for', () => {
  test('adds up by app and epoch, and is nobody else’s', async () => {
    logs = [
      prepaid(1n, 3n, 0, 5),
      prepaid(2n, 4n, 2, 9, { size: 7n }),
      prepaid(3n, 5n, 0, 9, { app: otherApp }),
      prepaid(4n, 6n, 0, 9, { gateway: addr(0xcd) }),
      cancelled(3n, 22n, 3),
      cancelled(4n, 22n, 3),
    ];
    const paid = await rentals.read();
    expect(paid.epoch).toBe(2);
    expect([0, 1, 2, 4, 5, 8, 9].map((epoch) => paid.bytesOf(app, epoch))).toEqual([
      100n,
      100n,
      107n,
      107n,
      7n,
      7n,
      0n,
    ]);
    expect([2, 3].map((epoch) => paid.bytesOf(otherApp, epoch))).toEqual([100n, 0n]);
    expect(paid.bytesOf(b32(3), 2)).toBe(0n);
  });

  test('follows a branch that is taken back, and reads what is final once', async () => {
    logs = [prepaid(1n, 3n, 0, 9), prepaid(2n, 24n, 0, 9), cancelled(1n, 24n, 3)];
    const before = await rentals.read();
    expect([before.bytesOf(app, 2), before.bytesOf(app, 5)]).toEqual([200n, 100n]);
    logs = [prepaid(1n, 3n, 0, 9)];
    const after = await rentals.read();
    expect([after.bytesOf(app, 2), after.bytesOf(app, 5)]).toEqual([100n, 100n]);
    expect(asked).toEqual([
      [0n, 20n],
      [21n, 25n],
      [21n, 25n],
    ]);
  });

  test('stays known after its end for the grace, then is forgotten', async () => {
    logs = [prepaid(1n, 3n, 0, 3)];
    [headNumber, finalNumber] = [39n, 39n];
    expect((await rentals.read()).bytesOf(app, 2)).toBe(100n);
    [headNumber, finalNumber] = [49n, 49n];
    expect((await rentals.read()).bytesOf(app, 2)).toBe(100n);
    [headNumber, finalNumber] = [59n, 59n];
    expect((await rentals.read()).bytesOf(app, 2)).toBe(0n);
  });

  test('is not known where the chain is not, and goes on where it was', async () => {
    logs = [prepaid(1n, 3n, 0, 9)];
    await rentals.read();
    reachable = false;
    await expect(rentals.read()).rejects.toMatchObject({ code: 'CHAIN_UNREACHABLE' });
    reachable = true;
    expect(await rentals.read()).toBe(await rentals.read());
    expect((await rentals.read()).bytesOf(app, 2)).toBe(100n);
  });

  test('is nothing where nothing was bought', () => {
    expect(paidStorage([], 7).bytesOf(app, 7)).toBe(0n);
  });
});
