import type { Hex } from '@cloister/core';
import { encodeErrorResult } from 'viem';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ChainView, contractErrorsAbi, type Simulation } from '../src/index.ts';
import { StubRpc, StubRpcError } from './stubRpc.ts';

const addr = (byte: number): Hex => `0x${byte.toString(16).padStart(2, '0').repeat(20)}`;
const word = (byte: number): Hex => `0x${byte.toString(16).padStart(64, '0')}`;
const refusal = encodeErrorResult({
  abi: contractErrorsAbi,
  errorName: 'GovernedCallerNotTimelock',
  args: [addr(1), addr(2)],
});
const simulation: Simulation = {
  block: 0n,
  timestamp: 2_000_000_000n,
  calls: [{ from: addr(1), to: addr(2), data: '0x12', value: 5n }],
  reads: [{ to: addr(3), data: '0x34' }],
  overrides: [
    { address: addr(4), code: '0x5f' },
    { address: addr(5), storage: { [word(1)]: word(2) } },
  ],
};
const log = { address: addr(0xab).toUpperCase().replace('X', 'x'), topics: [word(7)], data: '0x01' };

let rpcs: StubRpc[];
let view: ChainView;
/** What a node answers to the method. */
const answers = (call: object, read: Hex = word(9)) => [
  { calls: [call] },
  { calls: [{ status: '0x1', returnData: read, logs: [] }] },
];
const made = { status: '0x1', returnData: '0x', logs: [log] };

beforeEach(async () => {
  rpcs = [await new StubRpc().start(), await new StubRpc().start()];
  view = new ChainView({ chainId: 31337, rpcs: rpcs.map(({ url }) => url) });
  for (const rpc of rpcs) answer(rpc, () => answers(made));
});
afterEach(() => Promise.all(rpcs.map((rpc) => rpc.stop())));

function answer(rpc: StubRpc | undefined, give: () => unknown): void {
  if (rpc !== undefined) rpc.intercept = (method) => (method === 'eth_simulateV1' ? give() : undefined);
}

describe('simulated calls', () => {
  test('are asked for as calls of one block and reads of the next', async () => {
    expect(await view.simulate(simulation)).toEqual({
      calls: [{ ok: true, data: '0x', logs: [{ ...log, address: addr(0xab) }] }],
      reads: [{ ok: true, data: word(9), logs: [] }],
    });
    const asked = rpcs[0]?.asked.find(({ method }) => method === 'eth_simulateV1');
    expect(asked?.params).toEqual([
      {
        blockStateCalls: [
          {
            blockOverrides: { time: '0x77359400' },
            stateOverrides: { [addr(4)]: { code: '0x5f' }, [addr(5)]: { stateDiff: { [word(1)]: word(2) } } },
            calls: [{ from: addr(1), to: addr(2), input: '0x12', value: '0x5' }],
          },
          { blockOverrides: { time: '0x77359401' }, calls: [{ to: addr(3), input: '0x34', gas: '0xf4240' }] },
        ],
        validation: false,
      },
      '0x0',
    ]);
  });

  test.each([
    ['as data of the error', { status: '0x0', returnData: '0x', error: { code: 3, data: refusal } }],
    ['as what was returned', { status: '0x0', returnData: refusal, error: { code: -3200 } }],
  ])('that a contract refuses say why, %s', async (_, call) => {
    for (const rpc of rpcs) answer(rpc, () => answers(call));
    const { calls } = await view.simulate(simulation);
    expect(calls).toMatchObject([{ ok: false, refusal: { errorName: 'GovernedCallerNotTimelock' } }]);
  });

  test('that were not answered are refused', async () => {
    for (const rpc of rpcs) answer(rpc, () => []);
    expect(await view.simulate(simulation)).toMatchObject({ calls: [{ ok: false }], reads: [{ ok: false }] });
  });

  test.each([
    ['a read', () => answers(made, word(8))],
    ['an event', () => answers({ ...made, logs: [] })],
    ['a refusal', () => answers({ status: '0x0', returnData: refusal })],
  ])('are believed of no RPC alone: %s', async (_, other) => {
    answer(rpcs[1], other);
    await expect(view.simulate(simulation)).rejects.toMatchObject({ code: 'CHAIN_SPLIT' });
  });

  test('are made by those RPCs that can', async () => {
    const cannot = () => {
      throw new StubRpcError(-32_601, 'the method eth_simulateV1 does not exist');
    };
    answer(rpcs[1], cannot);
    expect((await view.simulate(simulation)).reads).toEqual([{ ok: true, data: word(9), logs: [] }]);
    answer(rpcs[0], cannot);
    await expect(view.simulate(simulation)).rejects.toMatchObject({ code: 'CHAIN_NO_SIMULATION' });
    answer(rpcs[0], () => {
      throw new StubRpcError(-32_000, 'busy');
    });
    await expect(view.simulate(simulation)).rejects.toMatchObject({ code: 'CHAIN_UNREACHABLE' });
  });
});
