import {
  depositBondAbi,
  governAtOnce,
  phaTokenAbi,
  slashingAbi,
  stakePoolsAbi,
  wireMoneyCalls,
  workerBondsAbi,
} from '@cloister/chain';
import { ProvenView } from '@cloister/chain-proof';
import { type Bytes32, type EpochRecord, epochRecordDigest, type NetworkFile } from '@cloister/core';
import { addressOf, fromHex, generateSecp256k1, signDigest, toHex } from '@cloister/crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { rpc } from '../../../packages/chain-proof/test/anvil.ts';
import { chainId, startTown, type Town } from '../../../packages/chain-proof/test/town.ts';
import {
  equivocationBy,
  governSlashing,
  knowGatekeeper,
  knowSigner,
} from '../../../packages/sdk/test/townEquivocation.ts';
import { ChainSlashes } from '../src/slashing/chainSlashes.ts';
import { RecordWatch, type TwoRecords } from '../src/slashing/recordWatch.ts';

const signal = new AbortController().signal;
const pha = 10n ** 18n;
const b32 = (byte: number): Bytes32 => `0x${byte.toString(16).padStart(2, '0').repeat(32)}`;
let town: Town;

beforeAll(async () => {
  town = await startTown();
  const { account, anvil, deployed, workerId } = town;
  await governAtOnce(account, anvil.url, deployed.timelock, wireMoneyCalls(deployed));
  const pools = { address: deployed.stakePools, abi: stakePoolsAbi };
  await account.write({ ...pools, functionName: 'createPool', args: [500, 100n * pha, false] });
  const spender = deployed.stakePools;
  await account.write({ address: deployed.phaToken, abi: phaTokenAbi, functionName: 'approve', args: [spender, pha] });
  await account.write({ ...pools, functionName: 'deposit', args: [account.address, pha, account.address] });
  await account.write({ address: deployed.workerBonds, abi: workerBondsAbi, functionName: 'start', args: [workerId] });
}, 60_000);
afterAll(() => town.anvil.stop());
let snapshot: unknown;
beforeEach(async () => {
  if (snapshot !== undefined) await rpc(town.anvil.url, 'evm_revert', [snapshot]);
  snapshot = await rpc(town.anvil.url, 'evm_snapshot', []);
});

const slashes = () => {
  const contracts = town.deployed as unknown as NetworkFile['contracts'];
  return new ChainSlashes(new ProvenView({ chainId, rpcs: [town.anvil.url] }), town.account, { chainId, contracts });
};
/** What has happened is final. */
const settleDown = () => rpc(town.anvil.url, 'anvil_mine', ['0x60']);
const pass = async (seconds: number) => {
  await rpc(town.anvil.url, 'evm_increaseTime', [seconds]);
  await settleDown();
};

test('a proof opens a case, which is followed once it is final, until it has ended', async () => {
  const enclave = generateSecp256k1();
  await knowSigner(town, enclave);
  const member = slashes();
  expect(await member.openCases(signal)).toEqual([]);
  const equivocation = equivocationBy(enclave, town.deployed.workerRegistry);
  const caseId = await member.report(equivocation, signal);
  await expect(member.report(equivocation, signal)).rejects.toMatchObject({ code: 'EQUIVOCATION_REPORTED_BEFORE' });
  expect(await member.openCases(signal)).toEqual([]);

  await settleDown();
  const [open, ...more] = await member.openCases(signal);
  expect([open?.caseId, more.length]).toEqual([caseId, 0]);
  expect((open?.settleFrom ?? 0n) > (await member.finalTimestamp(signal))).toBe(true);
  await expect(member.settle(caseId, signal)).rejects.toMatchObject({ code: 'SLASH_WINDOW_RUNS' });
  await pass(300);
  await member.settle(caseId, signal);
  await member.settle(caseId, signal);
  await settleDown();
  expect(await member.openCases(signal)).toEqual([]);
  // A member that starts now finds the same.
  expect(await slashes().openCases(signal)).toEqual([]);
}, 60_000);

test('two records of a gatekeeper cost it its bond, once', async () => {
  const { account, deployed } = town;
  const enclave = generateSecp256k1();
  await knowGatekeeper(town, enclave);
  const spender = deployed.depositBond;
  await account.write({ address: deployed.phaToken, abi: phaTokenAbi, functionName: 'approve', args: [spender, pha] });
  await account.write({ address: spender, abi: depositBondAbi, functionName: 'deposit', args: [account.address, pha] });
  const record: EpochRecord = {
    ...{ epoch: 7n, attempt: 1, block: 90n, blockHash: b32(1), beacon: b32(2), measurementsRoot: b32(3) },
    ...{ directoryRoot: b32(4), rewardsRoot: b32(7), evictionRoot: b32(5), releaseLogRoot: b32(6) },
    totals: { members: 3, workers: 2, stake: 2n, work: 9n, rewards: 5n },
  };
  const proofs: TwoRecords[] = [];
  const watch = new RecordWatch((proof) => void proofs.push(proof));
  for (const signed of [record, { ...record, rewardsRoot: b32(8) }]) {
    const digest = epochRecordDigest({ chainId, registry: deployed.workerRegistry }, signed);
    watch.see(signed, digest, [[addressOf(enclave), toHex(signDigest(enclave, fromHex(digest)))]]);
  }
  const [proof] = proofs as [TwoRecords];
  const member = slashes();
  const caseId = await member.reportTwoRecords(proof, signal);
  await expect(member.reportTwoRecords(proof, signal)).rejects.toMatchObject({ code: 'EQUIVOCATION_REPORTED_BEFORE' });
  await settleDown();
  expect((await member.openCases(signal)).map((open) => open.caseId)).toEqual([caseId]);
}, 60_000);

test('a case that is vetoed is no longer followed', async () => {
  const { account, anvil, deployed, workerId } = town;
  await governSlashing(town, { functionName: 'setJudge', args: [account.address, true] });
  const block = (await rpc(anvil.url, 'eth_getBlockByNumber', ['latest', false])) as { timestamp: `0x${string}` };
  const slashing = { address: deployed.slashing, abi: slashingAbi };
  await account.write({
    ...slashing,
    functionName: 'reportJudged',
    args: [2, workerId, BigInt(block.timestamp), account.address, '0xabcd'],
  });
  const member = slashes();
  await settleDown();
  const [open] = await member.openCases(signal);
  const { caseId } = open ?? expect.fail('no case is followed');
  await governSlashing(town, { functionName: 'veto', args: [caseId] });
  await settleDown();
  expect(await member.openCases(signal)).toEqual([]);
}, 60_000);
