import {
  BondHistory,
  ChainView,
  emissionAbi,
  governAtOnce,
  noEarners,
  type PastWorker,
  phaTokenAbi,
  readEpochEarners,
  setTeePolicyCall,
  stakePoolsAbi,
  wireMoneyCalls,
  workerBondsAbi,
} from '@cloister/chain';
import { type Hex, teeTypes } from '@cloister/core';
import { encodeFunctionData } from 'viem';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ProvenView } from '../src/index.ts';
import { type Lie, LyingRpc, rpc } from './anvil.ts';
import { chainId, startTown, type Town } from './town.ts';

const pha = 10n ** 18n;
const b32 = (byte: number): Hex => `0x${byte.toString(16).padStart(2, '0').repeat(32)}`;

let town: Town;
let lying: LyingRpc;
beforeAll(async () => {
  // Before the first epoch: the split holds from it on.
  town = await startTown(2_000_000_000n);
  lying = await new LyingRpc(town.anvil.url).start();
  const { account, deployed } = town;
  const split = { treasury: account.address, treasuryBps: 2_000, gatekeepers: account.address, gatekeepersBps: 333 };
  await governAtOnce(account, town.anvil.url, deployed.timelock, [
    ...wireMoneyCalls(deployed),
    setTeePolicyCall(deployed.workerRegistry, teeTypes.tdx, {
      verifier: deployed.tdxVerifier,
      leaseDurationSeconds: 3_600,
      acceptedTcbStatuses: ['UpToDate'],
      minimumTcbEvaluationDataNumber: 0,
    }),
    {
      target: deployed.emission,
      data: encodeFunctionData({ abi: emissionAbi, functionName: 'setSplit', args: [0n, split] }),
    },
  ]);
  const pools = { address: deployed.stakePools, abi: stakePoolsAbi };
  const pool = account.address;
  await account.write({ ...pools, functionName: 'createPool', args: [500, 10n ** 24n, false] });
  await account.write({
    address: deployed.phaToken,
    abi: phaTokenAbi,
    functionName: 'approve',
    args: [deployed.stakePools, 10n * pha],
  });
  await account.write({ ...pools, functionName: 'deposit', args: [pool, 10n * pha, pool] });
  const bonds = { address: deployed.workerBonds, abi: workerBondsAbi };
  await account.write({ ...bonds, functionName: 'start', args: [town.workerId] });
}, 60_000);
afterAll(async () => {
  await lying.stop();
  await town.anvil.stop();
});

const worker = (workerId: Hex): PastWorker => ({
  workerId,
  operator: town.account.address,
  receiptSigner: `0x${'ab'.repeat(20)}`,
  platformId: b32(0x61),
  platformKey: b32(0x62),
  tcb: b32(0x63),
  imageId: b32(0x64),
  teeType: teeTypes.tdx,
  kinds: 1,
  active: true,
  leaseUntil: 2n ** 40n,
});

async function earners(view: ChainView, ...ids: readonly Hex[]) {
  const bonds = new BondHistory(view, town.deployed);
  const block = await view.finalized();
  const of = { epoch: 3n, epochLength: 600n, block };
  return readEpochEarners({ view, bonds, contracts: town.deployed }, of, ids.map(worker));
}

test('who may earn, and how much, is proven to be what a node tells', async () => {
  // What is final lies some blocks behind.
  await rpc(town.anvil.url, 'anvil_mine', ['0x80']);
  const told = await earners(new ChainView({ chainId, rpcs: [town.anvil.url] }), town.workerId, b32(9));
  const proven = await earners(new ProvenView({ chainId, rpcs: [lying.url] }), town.workerId, b32(9));
  expect(proven).toEqual(told);
  expect(told).toMatchObject({
    bondFactor: 1n,
    workers: [{ workerId: town.workerId, operator: town.account.address, bond: 1n, platformId: b32(0x61) }],
  });
  // Nobody has recorded the epoch before. Two epochs of 600 seconds at 720,000 PHA a day, less 20 % and 3.33 %.
  expect(told.budget).toBe(10_000n * pha - 2_000n * pha - 333n * pha);
});

test('nobody earns without a bond', async () => {
  expect(await earners(new ProvenView({ chainId, rpcs: [lying.url] }), b32(9))).toEqual(noEarners);
});

test('an RPC that tells of another bond, budget or k is found out', async () => {
  const lies: readonly (readonly [string, Lie])[] = [
    [
      'its logs leave a bond out',
      ({ method }, result) => (method === 'eth_getBlockReceipts' ? (result as unknown[]).slice(1) : undefined),
    ],
    [
      'its state is another one',
      ({ method }, result) => {
        if (method !== 'eth_getProof') return undefined;
        const { storageProof, ...rest } = result as { storageProof: { value: Hex }[] };
        return { ...rest, storageProof: storageProof.map((slot) => ({ ...slot, proof: [] })) };
      },
    ],
  ];
  for (const [what, lie] of lies) {
    lying.lie = lie;
    await expect(
      earners(new ProvenView({ chainId, rpcs: [lying.url], pausesMs: [1, 1] }), town.workerId),
      what,
    ).rejects.toMatchObject({
      code: expect.stringMatching(/^CHAIN_/),
    });
  }
  lying.lie = () => undefined;
});
