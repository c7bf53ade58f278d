import { ChainError, ChainView, contractErrorsAbi, imageRegistryAbi, workerRegistryAbi } from '@cloister/chain';
import {
  encodeAbiParameters,
  encodeErrorResult,
  encodeEventTopics,
  encodeFunctionResult,
  type Hex,
  numberToHex,
} from 'viem';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { revert } from './stubRegistries.ts';
import { StubRevert, StubRpc, StubRpcError } from './stubRpc.ts';

const address = `0x${'11'.repeat(20)}` as const;
const imageId = `0x${'22'.repeat(32)}` as const;
const query = { address, abi: imageRegistryAbi, functionName: 'isImageAllowed', args: [imageId] } as const;
const encoded = (allowed: boolean): Hex =>
  encodeFunctionResult({ abi: imageRegistryAbi, functionName: 'isImageAllowed', result: allowed });
const never = () => new Promise<never>(() => {});

let one: StubRpc;
let two: StubRpc;
let view: ChainView;

beforeEach(async () => {
  [one, two] = [await new StubRpc().start(), await new StubRpc().start()];
  for (const rpc of [one, two]) {
    rpc.contracts = () => encoded(true);
    rpc.blocks = [];
    for (let number = 0n; number < 5n; number++) rpc.mine(1_790_000_000n + number);
  }
  view = new ChainView({ chainId: 31337, rpcs: [one.url, two.url] });
});
afterEach(async () => {
  await Promise.all([one.stop(), two.stop()]);
});

const code = (expected: string) => expect.objectContaining({ code: expected });

describe('the newest block', () => {
  test('is the newest that all RPCs know', async () => {
    two.mine(1_790_000_009n);
    const head = await view.head();
    expect(head).toEqual({ number: 4n, hash: one.blocks[4]?.hash, timestamp: 1_790_000_004n });
    expect(view.latest).toEqual(head);
  });

  test('is none where the RPCs name different blocks of that number', async () => {
    two.blocks.pop();
    two.mine(1_790_000_004n, 'other');
    await expect(view.head()).rejects.toThrow(code('CHAIN_SPLIT'));
    expect(view.latest).toBeUndefined();
  });

  test('never goes back: an RPC that falls behind what was seen is refused, and what was seen stays', async () => {
    const seen = await view.head();
    two.blocks.pop();
    const refused = await view.head().catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'CHAIN_STALE', retry: true, meta: { number: 3n, seen: 4n } });
    expect(view.latest).toEqual(seen);
    two.mine(1_790_000_004n);
    expect((await view.head()).number).toBe(4n);
  });

  test('follows a reorganisation that reaches the same height again, on all RPCs', async () => {
    const before = await view.head();
    for (const rpc of [one, two]) {
      rpc.blocks.length = 3;
      rpc.mine(1_790_000_003n, 'b');
      rpc.mine(1_790_000_004n, 'b');
    }
    const after = await view.head();
    expect(after.number).toBe(before.number);
    expect(after.hash).not.toBe(before.hash);
    await expect(view.blockAt(3n)).resolves.toMatchObject({ hash: one.blocks[3]?.hash });
  });

  test('a block that one RPC does not have is unknown, which waiting may not mend', async () => {
    const refused = await view.blockAt(99n).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(ChainError);
    expect(refused).toMatchObject({ code: 'CHAIN_BLOCK_UNKNOWN', retry: false });
    one.mine();
    await expect(view.blockAt(5n)).rejects.toThrow(code('CHAIN_BLOCK_UNKNOWN'));
  });
});

describe('the chain id', () => {
  test('must be right at every RPC', async () => {
    two.chainId = 1;
    await expect(view.head()).rejects.toThrow(code('CHAIN_WRONG_ID'));
    two.chainId = 31337;
    await expect(view.head()).resolves.toMatchObject({ number: 4n });
  });

  test('is asked for once', async () => {
    await view.head();
    await view.head();
    expect(one.asks('eth_chainId')).toBe(1);
  });
});

describe('reads', () => {
  test('are made at one block on all RPCs', async () => {
    const asked: string[] = [];
    for (const rpc of [one, two])
      rpc.contracts = ({ at }) => {
        asked.push(at);
        return encoded(true);
      };
    await expect(view.read(query)).resolves.toBe(true);
    await expect(view.read({ ...query, block: 2n })).resolves.toBe(true);
    expect(asked).toEqual([numberToHex(4), numberToHex(4), numberToHex(2), numberToHex(2)]);
  });

  test('are refused where one RPC answers something else', async () => {
    two.contracts = () => encoded(false);
    await expect(view.read(query)).rejects.toThrow(code('CHAIN_SPLIT'));
  });

  test('name the contract error that all RPCs report', async () => {
    for (const rpc of [one, two])
      rpc.contracts = () => {
        throw revert({ errorName: 'AppRegistryAppUnknown', args: [imageId] });
      };
    await expect(view.read(query)).rejects.toMatchObject({
      code: 'CHAIN_READ_REVERTED',
      meta: { errorName: 'AppRegistryAppUnknown', args: [imageId] },
    });
  });

  test('do not believe one RPC alone that the contract refuses', async () => {
    two.contracts = () => {
      throw revert({ errorName: 'AppRegistryAppUnknown', args: [imageId] });
    };
    await expect(view.read(query)).rejects.toThrow(code('CHAIN_SPLIT'));
    one.contracts = () => {
      throw revert({ errorName: 'AppRegistryAppUnknown', args: [`0x${'33'.repeat(32)}`] });
    };
    await expect(view.read(query)).rejects.toThrow(code('CHAIN_SPLIT'));
    one.contracts = () => {
      throw revert({ errorName: 'AppRegistryAppExists', args: [imageId] });
    };
    await expect(view.read(query)).rejects.toThrow(code('CHAIN_SPLIT'));
  });

  test.each([
    ['an error that no contract of ours has', new StubRevert('0x12345678'), '0x12345678'],
    ['no reason', new StubRevert('0x'), ''],
    [
      'damaged arguments',
      new StubRevert(
        encodeErrorResult({ abi: contractErrorsAbi, errorName: 'AppRegistryAppUnknown', args: [imageId] }).slice(
          0,
          30,
        ) as Hex,
      ),
      '',
    ],
  ])('a refusal with %s is still a refusal', async (_, thrown, errorName) => {
    for (const rpc of [one, two])
      rpc.contracts = () => {
        throw thrown;
      };
    const refused = (await view.read(query).catch((error: unknown) => error)) as ChainError;
    expect(refused.code).toBe('CHAIN_READ_REVERTED');
    if (errorName !== '') expect(refused.meta.errorName).toBe(errorName);
  });

  test('of raw call data and of balances are judged alike', async () => {
    const call = { to: address, data: '0x12345678', block: 2n } as const;
    const asked: string[] = [];
    for (const rpc of [one, two]) {
      rpc.contracts = ({ at, data }) => {
        asked.push(at);
        return `${data}aa` as Hex;
      };
      rpc.intercept = (method) => (method === 'eth_getBalance' ? '0x7' : undefined);
    }
    expect(await view.call(call)).toBe('0x12345678aa');
    expect(asked).toEqual([numberToHex(2), numberToHex(2)]);
    expect(await view.balance(address, 2n)).toBe(7n);
    expect(two.asked.at(-1)?.params).toEqual([address, numberToHex(2)]);
    two.contracts = () => '0xbb';
    two.intercept = (method) => (method === 'eth_getBalance' ? '0x8' : undefined);
    await expect(view.call(call)).rejects.toThrow(code('CHAIN_SPLIT'));
    await expect(view.balance(address, 2n)).rejects.toThrow(code('CHAIN_SPLIT'));
  });

  test('an address without code is no answer', async () => {
    for (const rpc of [one, two]) rpc.contracts = () => '0x';
    await expect(view.read(query)).rejects.toThrow(code('CHAIN_NO_CONTRACT'));
  });
});

describe('RPCs that fail', () => {
  test('unreachable', async () => {
    await two.stop();
    await expect(view.head()).rejects.toMatchObject({ code: 'CHAIN_UNREACHABLE', retry: true });
    await two.start();
  });

  test.each([
    ['an error of the node', 'eth_getBlockByNumber'],
    ['an error in a read', 'eth_call'],
  ])('%s', async (_, failing) => {
    two.intercept = (method) => {
      if (method === failing) throw new StubRpcError(-32_005, 'limit exceeded');
    };
    await expect(view.read(query)).rejects.toThrow(code('CHAIN_UNREACHABLE'));
  });

  test('slow: the deadline ends the wait', async () => {
    two.intercept = (method) => (method === 'eth_blockNumber' ? never() : undefined);
    const hasty = new ChainView({ chainId: 31337, rpcs: [one.url, two.url], timeoutMs: 200 });
    await expect(hasty.head()).rejects.toThrow(/took longer than "200" ms|failed while reading the latest block/);
  });

  test('the caller may give up', async () => {
    two.intercept = (method) => (method === 'eth_blockNumber' ? never() : undefined);
    const aborting = new AbortController();
    const waiting = view.head(aborting.signal);
    aborting.abort();
    await expect(waiting).rejects.toThrow(code('ABORTED'));
    await expect(view.read(query, AbortSignal.abort())).rejects.toThrow(code('ABORTED'));
  });
});

test("past events are the first RPC's word", async () => {
  const app = `0x${'44'.repeat(32)}`;
  const event = {
    type: 'event',
    name: 'AppCreated',
    inputs: [{ name: 'app', type: 'bytes32', indexed: true }],
  } as const;
  const { encodeEventTopics } = await import('viem');
  one.intercept = (method) =>
    method === 'eth_getLogs'
      ? [
          {
            address,
            topics: encodeEventTopics({ abi: [event], args: { app: app as Hex } }),
            data: '0x',
            blockNumber: '0x1',
            blockHash: one.blocks[1]?.hash,
            transactionHash: imageId,
            transactionIndex: '0x0',
            logIndex: '0x0',
            removed: false,
          },
        ]
      : undefined;
  const listed = await view.events({ address, abi: [event], eventName: 'AppCreated', args: {} });
  expect(listed).toEqual([{ app }]);
  expect(two.asks('eth_getLogs')).toBe(0);
});

describe('events', () => {
  const worker = `0x${'33'.repeat(32)}` as const;
  const log = (block: bigint, leaseUntil: bigint, logIndex = 0) => ({
    address,
    topics: encodeEventTopics({ abi: workerRegistryAbi, eventName: 'WorkerRenewed', args: { workerId: worker } }),
    data: encodeAbiParameters(
      [{ type: 'uint64' }, { type: 'uint64' }, { type: 'bytes32' }],
      [leaseUntil, 1n, `0x${'44'.repeat(32)}`],
    ),
    blockNumber: numberToHex(block),
    blockHash: one.blocks[Number(block)]?.hash,
    logIndex: numberToHex(logIndex),
    transactionHash: `0x${'55'.repeat(32)}`,
    transactionIndex: '0x0',
    removed: false,
  });
  const ask = () =>
    view.logs({ address, abi: workerRegistryAbi, eventNames: ['WorkerRenewed'], fromBlock: 1n, toBlock: 3n });
  const give = (rpc: StubRpc, ...logs: object[]) => {
    rpc.intercept = (method) => (method === 'eth_getLogs' ? logs : undefined);
  };

  test('are those that all RPCs list, decoded, in the chain’s order', async () => {
    for (const rpc of [one, two]) give(rpc, log(1n, 10n), log(3n, 30n, 2));
    expect(await ask()).toEqual([
      {
        eventName: 'WorkerRenewed',
        blockNumber: 1n,
        args: expect.objectContaining({ workerId: worker, leaseUntil: 10n }),
      },
      { eventName: 'WorkerRenewed', blockNumber: 3n, args: expect.objectContaining({ leaseUntil: 30n }) },
    ]);
    expect(one.asked.find(({ method }) => method === 'eth_getLogs')?.params[0]).toMatchObject({
      fromBlock: '0x1',
      toBlock: '0x3',
      address,
    });
  });

  test.each<[string, () => object[]]>([
    ['leaves one out', () => [log(1n, 10n)]],
    ['adds one', () => [log(1n, 10n), log(2n, 20n), log(3n, 30n)]],
    ['changes one', () => [log(1n, 10n), log(3n, 31n)]],
    ['has them in another order', () => [log(3n, 30n), log(1n, 10n)]],
    ['has them in another block', () => [log(1n, 10n), log(2n, 30n)]],
    ['has none', () => []],
  ])('are refused where one RPC %s', async (_, lie) => {
    give(one, log(1n, 10n), log(3n, 30n));
    give(two, ...lie());
    await expect(ask()).rejects.toThrow(code('CHAIN_SPLIT'));
  });

  test('are refused where one RPC gives none at all', async () => {
    give(one);
    two.intercept = (method) => {
      if (method === 'eth_getLogs') throw new StubRpcError(-32_005, 'query returned more than 10000 results');
      return undefined;
    };
    await expect(ask()).rejects.toThrow(code('CHAIN_UNREACHABLE'));
  });
});
