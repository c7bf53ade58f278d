import { ChainAccount, TransactionError, workerRegistryAbi } from '@cloister/chain';
import type { Hex } from '@cloister/core';
import {
  decodeFunctionData,
  encodeFunctionResult,
  numberToHex,
  parseTransaction,
  type TransactionSerialized,
} from 'viem';
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { revert } from './stubRegistries.ts';
import { StubRpc, StubRpcError } from './stubRpc.ts';

const registry = `0x${'11'.repeat(20)}` as const;
const workerId = `0x${'22'.repeat(32)}` as const;
const key = generatePrivateKey();
const retire = { address: registry, abi: workerRegistryAbi, functionName: 'retire', args: [workerId] } as const;
const enroll = { address: registry, abi: workerRegistryAbi, functionName: 'enroll', args: [] } as const;
const enrolled = encodeFunctionResult({ abi: workerRegistryAbi, functionName: 'enroll', result: workerId });

let rpc: StubRpc;
let account: ChainAccount;

beforeEach(async () => {
  rpc = await new StubRpc().start();
  rpc.contracts = ({ data }) =>
    decodeFunctionData({ abi: workerRegistryAbi, data }).functionName === 'enroll' ? enrolled : '0x';
  account = new ChainAccount({ chainId: 31337, rpc: rpc.url, account: key });
});
afterEach(() => rpc.stop());

/** The transactions that reached the chain, by function, with their nonces. */
function sent(): string[] {
  return rpc.asked
    .filter(({ method }) => method === 'eth_sendRawTransaction')
    .map(({ params }) => {
      const { data = '0x', nonce = 0 } = parseTransaction(params[0] as TransactionSerialized);
      return `${nonce} ${decodeFunctionData({ abi: workerRegistryAbi, data }).functionName}`;
    });
}

describe('ChainAccount', () => {
  test('takes a key or an account, and says its address in lower case', () => {
    const local = privateKeyToAccount(key);
    expect(account.address).toBe(local.address.toLowerCase());
    expect(new ChainAccount({ chainId: 31337, rpc: rpc.url, account: local }).address).toBe(account.address);
  });

  test('tries a call on the pending state before it sends it, and waits until it is mined', async () => {
    const states: string[] = [];
    const { contracts } = rpc;
    rpc.contracts = (call) => {
      states.push(`${call.at} ${call.commits} ${call.from}`);
      return contracts(call);
    };
    const receipt = await account.write(retire);
    expect(receipt.status).toBe('success');
    expect(receipt.blockNumber).toBe(rpc.head.number);
    expect(states).toEqual([`pending false ${account.address}`, `pending true ${account.address}`]);
  });

  test('a suffix stands behind the arguments, where the contract does not look', async () => {
    await account.write({ ...retire, dataSuffix: '0xabcd' });
    const raw = rpc.asked.find(({ method }) => method === 'eth_sendRawTransaction')?.params[0];
    const { data = '0x' } = parseTransaction(raw as TransactionSerialized);
    expect(data.endsWith('abcd')).toBe(true);
    expect(decodeFunctionData({ abi: workerRegistryAbi, data })).toMatchObject({ functionName: 'retire' });
  });

  test.each([
    ['a quarter more than now', 1_000_000n, 1_250_000n],
    ['as much as any transaction may', 16_000_000n, 16_777_216n],
    ['what it takes now, where that is beyond it', 17_000_000n, 17_000_000n],
  ])('may use %s: time passes until it is mined', async (_, now, limit) => {
    rpc.intercept = (method) => (method === 'eth_estimateGas' ? numberToHex(now) : undefined);
    await account.write(retire);
    const raw = rpc.asked.find(({ method }) => method === 'eth_sendRawTransaction')?.params[0];
    expect(parseTransaction(raw as TransactionSerialized).gas).toBe(limit);
  });

  test('another transaction that took its place does not count for it', async () => {
    const other = `0x${'77'.repeat(32)}` as const;
    let receipt: object | undefined;
    rpc.intercept = async (method, params) => {
      if (method !== 'eth_getTransactionReceipt') return undefined;
      rpc.intercept = async () => undefined;
      receipt = (await fetch(rpc.url, {
        method: 'POST',
        body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
      }).then((answer) => answer.json())) as { result: object };
      return { ...(receipt as { result: object }).result, transactionHash: other };
    };
    await expect(account.write(retire)).rejects.toMatchObject({ code: 'TRANSACTION_REPLACED', meta: { by: other } });
  });

  test('transactions asked for at once go one after the other, in that order', async () => {
    await Promise.all([account.write(enroll), account.write(retire), account.write(enroll), account.write(retire)]);
    expect(sent()).toEqual(['0 enroll', '1 retire', '2 enroll', '3 retire']);
  });

  test("a refusal comes back by the contract's own name, and nothing is sent", async () => {
    rpc.contracts = () => {
      throw revert({ errorName: 'WorkerRegistryWorkerUnknown', args: [workerId] });
    };
    const refused = await account.write(retire).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(TransactionError);
    expect(refused).toMatchObject({
      code: 'TRANSACTION_REFUSED',
      retry: false,
      meta: { errorName: 'WorkerRegistryWorkerUnknown', args: [workerId] },
      message: `Transaction retire was refused: WorkerRegistryWorkerUnknown(${workerId})`,
    });
    expect(sent()).toEqual([]);
  });

  test('so does one for what another transaction has changed since it was tried', async () => {
    rpc.intercept = (method) => {
      if (method === 'eth_estimateGas') throw revert({ errorName: 'WorkerRegistryWorkerUnknown', args: [workerId] });
    };
    await expect(account.write(retire)).rejects.toMatchObject({
      code: 'TRANSACTION_REFUSED',
      retry: false,
      meta: { errorName: 'WorkerRegistryWorkerUnknown', args: [workerId] },
    });
    expect(sent()).toEqual([]);
  });

  test('one that fails only once it is mined is told apart', async () => {
    rpc.contracts = ({ commits }) => {
      if (commits) throw revert({ errorName: 'WorkerRegistryWorkerUnknown', args: [workerId] });
      return '0x';
    };
    await expect(account.write(retire)).rejects.toMatchObject({ code: 'TRANSACTION_REVERTED', retry: false });
  });

  test('a failure does not stop the queue', async () => {
    const { contracts } = rpc;
    rpc.contracts = (call) => {
      if (decodeFunctionData({ abi: workerRegistryAbi, data: call.data }).functionName === 'retire')
        throw revert({ errorName: 'WorkerRegistryWorkerUnknown', args: [workerId] });
      return contracts(call);
    };
    const results = await Promise.allSettled([account.write(retire), account.write(enroll), account.write(retire)]);
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'rejected']);
    expect(sent()).toEqual(['0 enroll']);
  });

  test('what the node refuses may succeed later', async () => {
    rpc.intercept = (method) => {
      if (method === 'eth_sendRawTransaction') throw new StubRpcError(-32_000, 'insufficient funds for gas');
    };
    await expect(account.write(enroll)).rejects.toMatchObject({ code: 'TRANSACTION_FAILED', retry: true });
    await expect(account.send(registry, '0x', 'A transfer', undefined, 1n)).rejects.toMatchObject({
      code: 'TRANSACTION_FAILED',
    });
  });

  test('nobody waits longer than the deadline, and who gives up in the queue sends nothing', async () => {
    const hasty = new ChainAccount({ chainId: 31337, rpc: rpc.url, account: key, timeoutMs: 150 });
    rpc.intercept = (method) => (method === 'eth_call' ? new Promise(() => {}) : undefined);
    await expect(hasty.write(enroll)).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    rpc.intercept = () => undefined;

    const leaving = new AbortController();
    const first = account.write(enroll);
    const second = account.write(retire, leaving.signal);
    leaving.abort();
    await expect(second).rejects.toMatchObject({ code: 'ABORTED' });
    await first;
    expect(sent()).toEqual(['0 enroll']);
  });

  test('raw data goes to its address with its value', async () => {
    rpc.contracts = () => '0x';
    await account.send(registry, '0x12' as Hex, 'A transfer', undefined, 7n);
    const raw = rpc.asked.find(({ method }) => method === 'eth_sendRawTransaction')?.params[0];
    expect(parseTransaction(raw as TransactionSerialized)).toMatchObject({ to: registry, data: '0x12', value: 7n });
  });
});
