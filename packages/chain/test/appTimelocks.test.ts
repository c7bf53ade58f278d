import {
  AppTimelockReader,
  appRegistryAbi,
  appTimelockAbi,
  appTimelockFactory,
  appTimelockFactoryAddress,
  ChainView,
} from '@cloister/chain';
import { zeroAddress, zeroBytes32 } from '@cloister/core';
import { encodeFunctionData, getContractAddress } from 'viem';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { create2Factory, saltOf } from '../src/deploy.ts';
import { StubRpc } from './stubRpc.ts';
import { StubTimelocks } from './stubTimelocks.ts';

const address = (byte: string) => `0x${byte.repeat(20)}` as const;
const bytes32 = (byte: string) => `0x${byte.repeat(32)}` as const;
const [timelock, owner, vetoer] = [address('aa'), address('ab'), address('ac')];
const fields = {
  upgradeNoticeSeconds: 0,
  keyVersion: 1,
  minKeyVersion: 1,
  kind: 0,
  imagePolicy: 0,
  replicas: 1,
  stateful: false,
  vetoer: zeroAddress,
};
const onRegistry = (functionName: 'publish' | 'pinImage' | 'create', args: readonly unknown[]) =>
  encodeFunctionData({ abi: appRegistryAbi, functionName, args } as never);

let rpc: StubRpc;
let stub: StubTimelocks;
const statusOf = (account: `0x${string}`) =>
  new AppTimelockReader(new ChainView({ chainId: rpc.chainId, rpcs: [rpc.url] })).statusOf(account);

beforeEach(async () => {
  rpc = await new StubRpc().start();
  stub = new StubTimelocks(address('05'));
  rpc.contracts = (call) => stub.answer(call, () => '0x') ?? '0x';
  rpc.mine();
});
afterEach(() => rpc.stop());

describe('timelocks of apps', () => {
  test('their factory has the address at which its code is put on a chain', () => {
    const { name, bytecode } = appTimelockFactory;
    const at = getContractAddress({ opcode: 'CREATE2', from: create2Factory, salt: saltOf(name), bytecode });
    expect(appTimelockFactoryAddress).toBe(at.toLowerCase());
  });

  test('are those that the factory created, and no others that look alike', async () => {
    expect(await statusOf(timelock)).toBeUndefined();
    stub.created = new Map();
    expect(await statusOf(timelock)).toBeUndefined();
    expect(await statusOf(zeroAddress)).toBeUndefined();
    stub.created.set(timelock, { owner, delay: 60, vetoers: [vetoer], announced: [] });
    expect(await statusOf(timelock)).toEqual({ owner, delaySeconds: 60, vetoers: [vetoer], open: [] });
  });

  test('show what is open, read where this release can, raw where it can’t', async () => {
    const app = bytes32('a1');
    const calls = [
      [true, onRegistry('publish', [app, bytes32('b1'), fields])],
      [true, onRegistry('pinImage', [app, bytes32('c1')])],
      [true, onRegistry('create', [zeroBytes32, bytes32('b1'), fields])],
      [false, encodeFunctionData({ abi: appTimelockAbi, functionName: 'setDelay', args: [120] })],
      [true, '0x12345678aa'],
      // What the registry has means nothing to the timelock itself.
      [false, onRegistry('pinImage', [app, bytes32('c1')])],
      [true, onRegistry('pinImage', [app, bytes32('c2')])],
    ] as const;
    const announced = calls.map(([toRegistry, data], index) => ({
      state: index + 1,
      toRegistry,
      readyAt: 1_000n,
      data,
    }));
    for (const [index, entry] of announced.entries()) entry.state = [1, 2, 3, 1, 1, 1, 5][index] ?? 0;
    stub.created = new Map([[timelock, { owner, delay: 60, vetoers: [], announced }]]);
    const { open } = (await statusOf(timelock)) ?? expect.fail();
    expect(open.map(({ number, state, app: of, does }) => [number, state, of, does?.of, does?.name])).toEqual([
      [1, 'waiting', app, 'registry', 'publish'],
      [2, 'ready', app, 'registry', 'pinImage'],
      [3, 'expired', undefined, 'registry', 'create'],
      [4, 'waiting', undefined, 'timelock', 'setDelay'],
      [5, 'waiting', undefined, undefined, undefined],
      [6, 'waiting', undefined, undefined, undefined],
    ]);
    expect(open[0]).toMatchObject({ readyAt: 1_000n, expiresAt: 1_000n + 14n * 86_400n, data: calls[0][1] });
  });
});
