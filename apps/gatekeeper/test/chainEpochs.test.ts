import {
  type ChainAccount,
  type ChainLog,
  type CommitteeReader,
  onChainRecord,
  type RegistryHistory,
} from '@cloister/chain';
import type { Address, Bytes32, EpochRecord, Hex, NetworkFile } from '@cloister/core';
import { beforeEach, expect, test } from 'vitest';
import { ChainEpochs } from '../src/epochs/chainEpochs.ts';

const address = (byte: number): Address => `0x${byte.toString(16).padStart(2, '0').repeat(20)}`;
const b32 = (byte: number): Bytes32 => `0x${byte.toString(16).padStart(2, '0').repeat(32)}`;
const contracts = {
  workerRegistry: address(4),
  gatekeeperCommittee: address(0xc6),
  epochRecords: address(0xc7),
  payments: address(0xd1),
  stakePools: address(0xd2),
  workerBonds: address(0xd3),
  slashing: address(0xd4),
  emission: address(0xd5),
  epochRewards: address(0xd6),
  storageRent: address(0xd7),
  governor: address(0xd8),
} as NetworkFile['contracts'];
const signers = [1, 2, 3].map(address);
const signatureOf = (signer: Address): Hex => `0x${signer.slice(2, 4).repeat(65)}`;
const signedBy = (...by: readonly Address[]) => new Map(by.map((signer) => [signer, signatureOf(signer)]));
const record: EpochRecord = {
  epoch: 7n,
  attempt: 1,
  block: 90n,
  blockHash: b32(1),
  beacon: b32(2),
  measurementsRoot: b32(3),
  directoryRoot: b32(4),
  rewardsRoot: b32(0),
  evictionRoot: b32(5),
  releaseLogRoot: b32(6),
  totals: { members: 3, workers: 2, stake: 2n, work: 9n, rewards: 0n },
};
const signal = new AbortController().signal;

let written: unknown[];
let last: { exists: boolean; epoch: bigint };
let chain: ChainEpochs;
beforeEach(() => {
  written = [];
  last = { exists: false, epoch: 0n };
  const block = (number: bigint) => ({ number, hash: b32(Number(number)), timestamp: 1_000n + 10n * number });
  const handedOver: ChainLog = {
    eventName: 'HandedOver',
    blockNumber: 2n,
    args: { generation: 1n, threshold: 2, operators: signers.map((signer) => signer), signers },
  };
  const view = {
    head: async () => block(40n),
    finalized: async () => block(35n),
    blockAt: async (number: bigint) => block(number),
    blockOn: async (_: unknown, number: bigint) => block(number),
    logsUpTo: async ({ address: of }: { address: Address }) =>
      of === contracts.gatekeeperCommittee ? [handedOver] : [],
    read: async () => last,
  };
  const reader = {
    view,
    status: async (number: bigint) => ({
      generation: { threshold: 2, members: number === 40n ? signers.map((signer) => ({ signer })) : [] },
    }),
  };
  chain = new ChainEpochs(
    {
      reader: reader as unknown as CommitteeReader,
      history: { workersAt: async () => [], evictedAt: async () => [] } as unknown as RegistryHistory,
      clock: { genesis: 1_000n, epochLength: 100n, roundLength: 10n },
      operator: { write: async (call: unknown) => written.push(call) } as unknown as ChainAccount,
    },
    contracts,
  );
});

test('its clock is that of the newest final block, and its last record that of the contract', async () => {
  expect(await chain.finalTimestamp(signal)).toBe(1_350n);
  expect(await chain.newestTimestamp(signal)).toBe(1_400n);
  expect(await chain.lastRecorded(signal)).toBeUndefined();
  last = { exists: true, epoch: 0n };
  expect(await chain.lastRecorded(signal)).toBe(0n);
});

test('what it says of an epoch is there once its end is final', async () => {
  expect(await chain.factsOf(2n, signal)).toMatchObject({
    block: 30n,
    firstRound: 20n,
    generation: { number: 1n, members: signers.map((signer) => ({ operator: signer, signer })) },
  });
  expect(await chain.factsOf(3n, signal)).toBeUndefined();
});

test('a record is sent with the signatures of members of now, in their places and no more than it takes', async () => {
  await chain.post(record, signedBy(address(3), address(1), address(9)), signal);
  const proof = `0x00000005${[1, 3].map((byte) => signatureOf(address(byte)).slice(2)).join('')}`;
  expect(written).toEqual([
    expect.objectContaining({
      address: contracts.epochRecords,
      functionName: 'post',
      args: [onChainRecord(record), proof],
    }),
  ]);
  expect(onChainRecord(record)).toMatchObject({ blockNumber: 90n, members: 3, stake: 2n });
});

test('and not sent where too few of them signed', async () => {
  await chain.post(record, signedBy(address(3), address(9)), signal);
  expect(written).toEqual([]);
});
