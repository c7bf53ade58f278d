import { signTransaction, TransactionRelay } from '@cloister/chain';
import { hexToBytes, keccak256, parseTransaction, recoverTransactionAddress } from 'viem';
import { privateKeyToAccount, sign } from 'viem/accounts';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { StubRpc, StubRpcError } from './stubRpc.ts';

const key = `0x${'42'.repeat(32)}` as const;
const account = privateKeyToAccount(key);
const to = `0x${'11'.repeat(20)}` as const;
const transaction = {
  ...({ chainId: 31_337, nonce: 0, to, data: '0x1234', valueWei: 5n, gas: 30_000n } as const),
  ...{ maxFeePerGas: 9n, maxPriorityFeePerGas: 1n },
};
const signed = async (nonce = 0) => {
  // viem signs asynchronously: its signature is made first, over the digest that is asked for.
  let digest = new Uint8Array();
  signTransaction({ ...transaction, nonce }, (asked) => {
    digest = asked.slice();
    return new Uint8Array(65).fill(1);
  });
  const signature = hexToBytes(
    await sign({ hash: `0x${Buffer.from(digest).toString('hex')}`, privateKey: key, to: 'hex' }),
  );
  return signTransaction({ ...transaction, nonce }, () => signature);
};

let rpcs: [StubRpc, StubRpc];
let relay: TransactionRelay;
beforeEach(async () => {
  rpcs = await Promise.all([new StubRpc().start(), new StubRpc().start()]);
  relay = new TransactionRelay({ chainId: 31_337, rpcs: rpcs.map(({ url }) => url), timeoutMs: 2_000 });
});
afterEach(() => Promise.all(rpcs.map((rpc) => rpc.stop())));

test('a transaction is signed as viem signs it', async () => {
  const { raw, hash } = await signed(7);
  const { valueWei, ...rest } = transaction;
  expect(raw).toBe(await account.signTransaction({ type: 'eip1559', ...rest, value: valueWei, nonce: 7 }));
  expect(hash).toBe(keccak256(raw));
  expect(parseTransaction(raw)).toMatchObject({ nonce: 7, value: 5n, to, data: '0x1234' });
  expect(await recoverTransactionAddress({ serializedTransaction: raw as `0x02${string}` })).toBe(account.address);
});

describe('sending', () => {
  const refuse = (rpc: StubRpc, methods: string, message: string) => {
    rpc.intercept = (method) => {
      if (methods.includes(method)) throw new StubRpcError(-32_000, message);
      return undefined;
    };
  };

  test('reaches every RPC, and is done when one has it', async () => {
    const { raw } = await signed();
    refuse(rpcs[0], 'eth_sendRawTransaction eth_getTransactionByHash', 'out of order');
    await relay.send(raw);
    for (const { asked } of rpcs) expect(asked.map(({ method }) => method)).toContain('eth_sendRawTransaction');
  });

  test('of what a node has already is done too, whatever it says', async () => {
    const { raw, hash } = await signed();
    for (const rpc of rpcs)
      rpc.intercept = (method) => {
        if (method === 'eth_sendRawTransaction') throw new StubRpcError(-32_000, 'already known');
        return method === 'eth_getTransactionByHash' ? { hash, from: account.address, type: '0x2' } : undefined;
      };
    await relay.send(raw);
  });

  test('that no RPC takes says why', async () => {
    const { raw, hash } = await signed();
    for (const rpc of rpcs) refuse(rpc, 'eth_sendRawTransaction eth_getTransactionByHash', 'fee too low for now');
    await expect(relay.send(raw)).rejects.toMatchObject({
      ...{ code: 'CHAIN_SEND_NOT_TAKEN', retry: true, meta: { hash } },
      message: expect.stringContaining('fee too low for now'),
    });
  });
});

describe('what became of one', () => {
  test('is known when all RPCs have it in the same block', async () => {
    const { raw, hash } = await signed();
    expect(await relay.mined(hash)).toBeUndefined();
    await new TransactionRelay({ chainId: 31_337, rpcs: [rpcs[0].url] }).send(raw);
    expect(await relay.mined(hash)).toBeUndefined();
    await new TransactionRelay({ chainId: 31_337, rpcs: [rpcs[1].url] }).send(raw);
    expect(await relay.mined(hash)).toMatchObject({ status: 'success', blockHash: rpcs[0].head.hash });
  });

  test('is not known where they differ', async () => {
    const { raw, hash } = await signed();
    await relay.send(raw);
    const receipt = { transactionHash: hash, blockNumber: '0x1', blockHash: `0x${'99'.repeat(32)}`, status: '0x0' };
    rpcs[1].intercept = (method) => (method === 'eth_getTransactionReceipt' ? { ...receipt, logs: [] } : undefined);
    expect(await relay.mined(hash)).toBeUndefined();
  });
});

describe('the price', () => {
  const call = { from: to, to, data: '0x', valueWei: 0n } as const;

  test('is what one RPC says, with a margin for gas', async () => {
    rpcs[0].intercept = (method) =>
      method === 'eth_getBlockByNumber' ? { number: '0x1', baseFeePerGas: '0x7', transactions: [] } : undefined;
    expect(await relay.price(call)).toEqual({ gas: 1_250_000n, baseFee: 7n, tip: 1_000_000_000n });
    expect(rpcs[1].asked).toEqual([]);
  });

  test.each(['execution reverted: no', 'insufficient funds for gas * price + value'])(
    'of what would fail there is none: %s',
    async (message) => {
      rpcs[0].intercept = (method) => {
        if (method === 'eth_estimateGas') throw new StubRpcError(3, message);
        return method === 'eth_getBlockByNumber' ? { baseFeePerGas: '0x7', transactions: [] } : undefined;
      };
      await expect(relay.price(call)).rejects.toMatchObject({ code: 'CHAIN_SEND_REVERTED', retry: false });
    },
  );
});
