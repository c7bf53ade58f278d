import {
  ChainAccount,
  ChainView,
  governAtOnce,
  type PostedRecord,
  phaTokenAbi,
  RegistryReader,
  SlashingReader,
  StakingReader,
  slashingAbi,
  wireMoneyCalls,
} from '@cloister/chain';
import type { Address, Hex, NetworkFile } from '@cloister/core';
import { addressOf as enclaveAddress, generateSecp256k1 } from '@cloister/crypto';
import { type EpochLeaf, measuredLeaf } from '@cloister/economics';
import { generatePrivateKey, privateKeyToAddress } from 'viem/accounts';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { rpc } from '../../chain-proof/test/anvil.ts';
import { chainId, startTown, type Town } from '../../chain-proof/test/town.ts';
import { Staking } from '../src/staking/staking.ts';
import { equivocationBy, governSlashing, knowSigner } from './townEquivocation.ts';

const pha = 10n ** 18n;
const keyOf = { backer: generatePrivateKey(), stranger: generatePrivateKey() };
const addressOf = (key: Hex) => privateKeyToAddress(key).toLowerCase() as Address;
const backer = addressOf(keyOf.backer);

let town: Town;
let staking: Staking;
let reader: StakingReader;
let operator: { readonly account: Hex };
let snapshot: unknown;
let posted: readonly PostedRecord[] = [];
let leaves: readonly EpochLeaf[] = [];
const by = { account: keyOf.backer };

beforeAll(async () => {
  town = await startTown();
  const { anvil, account, deployed } = town;
  operator = { account: town.key };
  for (const key of Object.values(keyOf)) {
    await rpc(anvil.url, 'anvil_setBalance', [addressOf(key), '0xffffffffffffffffffff']);
  }
  await governAtOnce(account, anvil.url, deployed.timelock, wireMoneyCalls(deployed));
  await account.write({
    address: deployed.phaToken,
    abi: phaTokenAbi,
    functionName: 'transfer',
    args: [backer, 40n * pha],
  });
}, 60_000);
afterAll(() => town.anvil.stop());
beforeEach(async () => {
  if (snapshot !== undefined) await rpc(town.anvil.url, 'evm_revert', [snapshot]);
  snapshot = await rpc(town.anvil.url, 'evm_snapshot', []);
  const { anvil, deployed } = town;
  const view = new ChainView({ chainId, rpcs: [anvil.url] });
  reader = new StakingReader(view, deployed);
  staking = new Staking({
    network: { chainId, contracts: deployed as unknown as NetworkFile['contracts'] },
    reader,
    registry: new RegistryReader(view, deployed as unknown as NetworkFile['contracts']),
    slashing: new SlashingReader(view, deployed),
    epochs: { list: async () => posted, leavesOf: async () => leaves },
    account: (one) => new ChainAccount({ chainId, rpc: anvil.url, account: one }),
  });
});

const pass = async (seconds: number) => {
  await rpc(town.anvil.url, 'evm_increaseTime', [seconds]);
  await rpc(town.anvil.url, 'evm_mine', []);
};
const phaOf = async (account: Address) =>
  reader.view.read({ address: town.deployed.phaToken, abi: phaTokenAbi, functionName: 'balanceOf', args: [account] });
const createPool = () => staking.createPool({ commissionBps: 500, capacity: 100n * pha }, operator);

describe('pools', () => {
  test('are opened once by their operators, and listed', async () => {
    expect(await staking.pools()).toEqual([]);
    const pool = await createPool();
    expect(pool).toMatchObject({
      pool: town.account.address,
      commissionBps: 500,
      capacity: 100n * pha,
      closed: false,
      allowlistOn: false,
      nextCommission: null,
      staked: 0n,
      openSlashes: 0,
      pausedUntil: null,
      runningWorkers: 0n,
    });
    expect(await staking.pools()).toEqual([pool]);
    await expect(createPool()).rejects.toMatchObject({ meta: { errorName: 'StakePoolsPoolExists' } });
  });

  test('of others are not known', async () => {
    const unknown = { code: 'STAKING_POOL_UNKNOWN', hint: expect.stringContaining('pool list') };
    await expect(staking.pool(backer)).rejects.toMatchObject(unknown);
    await expect(staking.stake(backer, pha, by)).rejects.toMatchObject(unknown);
  });
});

describe('a stake', () => {
  beforeEach(createPool);

  test('is made by a permit, asked back, and paid when its time has come', async () => {
    const pool = town.account.address;
    expect(await staking.stake(pool, 10n * pha, by)).toEqual({ pool, shares: expect.any(BigInt), worth: 10n * pha });
    expect(await phaOf(backer)).toBe(30n * pha);
    expect(await staking.positions(backer)).toMatchObject([{ pool, worth: 10n * pha }]);

    const request = await staking.unstake(pool, 4n * pha, by);
    expect(request).toMatchObject({ pool, amount: 4n * pha, claimable: false });
    expect(await staking.claim(by)).toEqual([
      { what: 'waits', pool, id: request.id, amount: 4n * pha, notBefore: request.notBefore },
    ]);
    expect(await phaOf(backer)).toBe(30n * pha);

    await pass(600);
    expect(await staking.claim(by)).toEqual([{ what: 'unstaked', pool, id: request.id, amount: 4n * pha }]);
    expect(await phaOf(backer)).toBe(34n * pha);
    expect([await staking.claim(by), await staking.requests(backer)]).toEqual([[], []]);

    await staking.unstake(pool, 'all', by);
    expect(await staking.positions(backer)).toEqual([]);
  });

  test('that is not there can not be asked back', async () => {
    const pool = town.account.address;
    await expect(staking.unstake(pool, 'all', by)).rejects.toMatchObject({ code: 'STAKING_TOO_LITTLE' });
    await staking.stake(pool, pha, by);
    await expect(staking.unstake(pool, pha + 1n, by)).rejects.toMatchObject({ code: 'STAKING_TOO_LITTLE' });
  });

  test('beyond the capacity, or without the PHA, is refused by the contract’s own word', async () => {
    const pool = town.account.address;
    await expect(staking.stake(pool, pha, { account: keyOf.stranger })).rejects.toMatchObject({
      code: 'TRANSACTION_REFUSED',
    });
    await expect(staking.stake(pool, 10n ** 15n, by)).rejects.toMatchObject({
      meta: { errorName: 'StakePoolsDepositTooSmall' },
    });
    expect(await phaOf(backer)).toBe(40n * pha);
  });
});

describe('a bond', () => {
  beforeEach(async () => {
    await createPool();
    await staking.stake(town.account.address, pha, operator);
  });

  test('is put behind a worker, stopped, and given back after its time', async () => {
    const { workerId, account } = town;
    expect(await staking.startBond(workerId, operator)).toMatchObject({
      state: 'running',
      pool: account.address,
      bond: 1n,
    });
    expect(await reader.bondsOf(account.address)).toMatchObject([{ workerId, state: 'running' }]);
    expect((await staking.pool(account.address)).runningWorkers).toBe(1n);
    const { step, freeAt } = await staking.stopBond(workerId, operator);
    expect(step).toBe('stopped');
    expect(await staking.stopBond(workerId, operator)).toEqual({ step: 'waits', freeAt });
    await pass(600);
    expect((await staking.stopBond(workerId, operator)).step).toBe('released');
    await expect(staking.stopBond(workerId, operator)).rejects.toMatchObject({ code: 'STAKING_NO_BOND' });
    expect(await reader.bondsOf(account.address)).toEqual([]);
  });

  test('is raised by what a record says of its worker, and by nothing else', async () => {
    const { workerId } = town;
    await staking.startBond(workerId, operator);
    const says = { workerId, measuredBy: 3, availability: 900_000, latencyMs: 20, work: '90000000' };
    const leaf = measuredLeaf({ ...says, work: 90_000_000n });
    const record = { epoch: 5n, measurementsRoot: leaf } as PostedRecord['record'];
    [posted, leaves] = [[{ record, digest: leaf, postedAt: 1n }], []];
    const notMeasured = { code: 'STAKING_NOT_MEASURED', retry: true };
    await expect(staking.raiseBond(workerId, operator)).rejects.toMatchObject(notMeasured);
    // What is served beside the leaf does not make it.
    leaves = [{ leaf, says: { ...says, work: '90000001' } }];
    await expect(staking.raiseBond(workerId, operator)).rejects.toMatchObject(notMeasured);
    leaves = [{ leaf, says }];
    const greedy = { ...says, work: (10n ** 30n).toString() };
    const greedyLeaf = measuredLeaf({ ...greedy, work: 10n ** 30n });
    leaves = [{ leaf: greedyLeaf, says: greedy }];
    // k is 1: a bond of a thousand million units of PHA, and 1 PHA is there.
    expect(await reader.bondFor(10n ** 18n)).toBe(10n ** 9n);
    await staking.unstake(town.account.address, pha - 2n, operator);
    await expect(staking.raiseBond(workerId, operator)).rejects.toMatchObject({ code: 'STAKING_TOO_LITTLE' });
    leaves = [{ leaf, says }];
    await staking.stake(town.account.address, pha, operator);
    // The committee has not signed this record: the chain does not know it.
    const full = {
      ...record,
      attempt: 0,
      block: 1n,
      totals: { members: 1, workers: 1, stake: 1n, work: 1n, rewards: 0n },
      ...Object.fromEntries(
        ['blockHash', 'beacon', 'directoryRoot', 'rewardsRoot', 'evictionRoot', 'releaseLogRoot'].map((name) => [
          name,
          leaf,
        ]),
      ),
    } as PostedRecord['record'];
    posted = [{ record: full, digest: leaf, postedAt: 1n }];
    await expect(staking.raiseBond(workerId, operator)).rejects.toMatchObject({
      meta: { errorName: 'WorkMeterRecordMismatch' },
    });
    await expect(staking.raiseBond(workerId, by)).rejects.toMatchObject({
      meta: { errorName: 'WorkMeterCallerNotOperator' },
    });
    expect((await reader.bond(workerId)).bond).toBe(1n);
  });

  test('is started by the worker’s operator alone', async () => {
    await expect(staking.startBond(town.workerId, by)).rejects.toMatchObject({
      meta: { errorName: 'WorkerBondsCallerNotOperator' },
    });
  });

  test('that a judge takes is shown with what the judgement rests on, and how it stands', async () => {
    const { account, workerId } = town;
    await staking.startBond(workerId, operator);
    const { slashing } = town.deployed;
    await governSlashing(town, { functionName: 'setJudge', args: [account.address, true] });
    const { timestamp } = await reader.view.head();
    await account.write({
      address: slashing,
      abi: slashingAbi,
      functionName: 'reportJudged',
      args: [2, workerId, timestamp - 1n, backer, '0xabcd'],
    });
    const [opened] = await staking.slashes(account.address);
    expect(opened).toMatchObject({
      offence: 'wrong-result',
      state: 'open',
      operator: account.address,
      subject: workerId,
      amount: 1n,
      reporter: backer,
      evidence: { kind: 'judgement', judge: account.address, occurredAt: timestamp - 1n, evidence: '0xabcd' },
    });
    expect(await staking.slashes(backer)).toEqual([]);
    expect(await staking.pool(account.address)).toMatchObject({ openSlashes: 1, pausedUntil: expect.any(BigInt) });
    await expect(staking.settleSlash(opened?.caseId as Hex, by)).rejects.toMatchObject({
      code: 'SLASH_WINDOW_RUNS',
      retry: true,
      meta: { settleFrom: opened?.settleFrom },
    });
    await pass(200);
    expect(await staking.settleSlash(opened?.caseId as Hex, by)).toEqual({ ...opened, state: 'settled' });
    expect((await staking.slashes())[0]?.state).toBe('settled');
    expect(await staking.pool(account.address)).toMatchObject({ openSlashes: 0, pausedUntil: null });
  });
});

describe('an equivocation', () => {
  const enclave = generateSecp256k1();
  const signer = enclaveAddress(enclave);
  const settle = (caseId: Hex) => staking.settleSlash(caseId, { account: keyOf.stranger });
  const proof = (registry: Address = town.deployed.workerRegistry) => equivocationBy(enclave, registry);
  const know = () => knowSigner(town, enclave);
  beforeEach(async () => {
    await createPool();
    await staking.stake(town.account.address, pha, operator);
  });

  test('is taken by the chain as the client has found it, and costs the bond', async () => {
    await know();
    await staking.startBond(town.workerId, operator);
    const checked = await staking.checkEquivocation(proof());
    expect(checked).toMatchObject({ workerId: town.workerId, pool: town.account.address, atStake: 1n });
    const opened = await staking.reportEquivocation(proof(), by);
    expect(opened).toMatchObject({
      caseId: checked.caseId,
      offence: 'equivocation',
      state: 'open',
      subject: town.workerId,
      amount: 1n,
      reporter: backer,
      evidence: { kind: 'proof', signer },
    });
    expect(await staking.slashes()).toEqual([opened]);
    await expect(staking.reportEquivocation(proof(), by)).rejects.toMatchObject({
      code: 'EQUIVOCATION_REPORTED_BEFORE',
      message: expect.stringContaining('is open already'),
    });
    await pass(200);
    expect(await settle(opened.caseId)).toMatchObject({ state: 'settled' });
    // Whoever comes later finds it done.
    expect(await settle(opened.caseId)).toMatchObject({ state: 'settled' });
  });

  test('that the chain would refuse is not sent, and says why', async () => {
    const nonce = () => rpc(town.anvil.url, 'eth_getTransactionCount', [backer, 'latest']);
    const before = await nonce();
    const refused = (code: string, shown = proof()) =>
      expect(staking.reportEquivocation(shown, by)).rejects.toMatchObject({ code });
    await refused('EQUIVOCATION_SIGNER_UNKNOWN');
    await know();
    await refused('EQUIVOCATION_NOTHING_AT_STAKE');
    await refused('EQUIVOCATION_OTHER_NETWORK', proof(`0x${'31'.repeat(20)}`));
    expect(await nonce()).toBe(before);
  });

  test('that is vetoed, or no case at all, is not settled', async () => {
    await know();
    await staking.startBond(town.workerId, operator);
    const { caseId } = await staking.reportEquivocation(proof(), by);
    await governSlashing(town, { functionName: 'veto', args: [caseId] });
    await pass(200);
    await expect(settle(caseId)).rejects.toMatchObject({ code: 'SLASH_VETOED' });
    await expect(settle(`0x${'09'.repeat(32)}`)).rejects.toMatchObject({ code: 'SLASH_UNKNOWN' });
  });
});
