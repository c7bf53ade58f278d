import type { Hex } from '@cloister/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { provenHeader } from '../src/index.ts';
import { type RunningAnvil, rpc, startAnvil } from './anvil.ts';

type HeaderJson = Record<string, unknown> & { hash: Hex; parentHash: Hex };

const forks = ['london', 'shanghai', 'cancun', 'prague', 'osaka'] as const;
const nodes = new Map<string, RunningAnvil>();
const headers = new Map<string, HeaderJson>();
beforeAll(async () => {
  for (const fork of forks) {
    const node = await startAnvil(fork);
    nodes.set(fork, node);
    await rpc(node.url, 'anvil_mine', ['0x2']);
    headers.set(fork, (await rpc(node.url, 'eth_getBlockByNumber', ['latest', false])) as HeaderJson);
  }
}, 60_000);
afterAll(async () => {
  for (const node of nodes.values()) await node.stop();
});
const told = (fork: string): HeaderJson => ({ ...(headers.get(fork) as HeaderJson) });

describe('a header of a real node', () => {
  test.each(forks)('of %s gives its block’s hash', (fork) => {
    const json = told(fork);
    const header = provenHeader(json, json.hash);
    expect(header).toMatchObject({
      hash: json.hash,
      parentHash: json.parentHash,
      stateRoot: json.stateRoot,
      coinbase: json.miner,
      prevRandao: json.mixHash,
      fork: fork === 'osaka' ? 'prague' : fork,
    });
    expect([header.number, header.timestamp]).toEqual([
      BigInt(json.number as string),
      BigInt(json.timestamp as string),
    ]);
  });

  test('is refused with any field changed, taken out, or of another form', () => {
    const json = told('osaka');
    const fields = Object.keys(json).filter(
      (name) =>
        !['hash', 'transactions', 'uncles', 'size', 'withdrawals', 'totalDifficulty'].includes(name) &&
        json[name] !== null,
    );
    expect(fields).toHaveLength(21);
    for (const name of fields) {
      const value = json[name] as string;
      const changes = [
        `${value.slice(0, -1)}${value.endsWith('1') ? '2' : '1'}`,
        undefined,
        null,
        7,
        '0xzz',
        `${value}01`,
      ];
      for (const changed of changes)
        expect(() => provenHeader({ ...json, [name]: changed }, json.hash), `${name}: ${changed}`).toThrow(
          expect.objectContaining({ name: 'ProofError' }),
        );
    }
  });

  test('is refused under the hash of another block, and where it is none', () => {
    const json = told('prague');
    for (const [value, hash] of [
      [json, json.parentHash],
      [json, told('cancun').hash],
      [null, json.hash],
      ['0x', json.hash],
      [{}, json.hash],
      [[], json.hash],
    ] as const)
      expect(() => provenHeader(value, hash)).toThrow(expect.objectContaining({ name: 'ProofError' }));
  });

  test('of a fork that is not known is refused by that name', () => {
    const json = told('osaka');
    const { baseFeePerGas: _, ...old } = json;
    for (const value of [old, { ...json, blockAccessListHash: json.hash }, { ...json, slotNumber: '0x1' }])
      expect(() => provenHeader(value, json.hash)).toThrow(expect.objectContaining({ code: 'CHAIN_FORK_UNKNOWN' }));
  });

  test('has all the fields of its forks or is refused', () => {
    const json = told('osaka');
    for (const name of ['withdrawalsRoot', 'blobGasUsed', 'parentBeaconBlockRoot', 'requestsHash'])
      expect(() => provenHeader({ ...json, [name]: undefined }, json.hash)).toThrow(
        expect.objectContaining({ code: 'CHAIN_HEADER_INVALID' }),
      );
  });
});
