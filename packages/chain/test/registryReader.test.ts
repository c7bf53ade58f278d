import { ChainView, RegistryReader, type WorkerRecord, workerRecordHash, workerRegistryAbi } from '@cloister/chain';
import { type EnforcedFields, zeroAddress, zeroBytes32 } from '@cloister/core';
import { encodeAbiParameters, encodeEventTopics, getAbiItem, getAddress } from 'viem';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { StubRegistries } from './stubRegistries.ts';
import { StubRpc } from './stubRpc.ts';

const address = (byte: string) => `0x${byte.repeat(20)}` as const;
const contracts = {
  timelock: address('01'),
  phaToken: address('02'),
  imageRegistry: address('03'),
  workerRegistry: address('04'),
  appRegistry: address('05'),
  gatekeeperCommittee: address('06'),
  epochRecords: address('07'),
  payments: address('d1'),
  stakePools: address('d2'),
  workerBonds: address('d3'),
  slashing: address('d4'),
  emission: address('d5'),
  epochRewards: address('d6'),
  storageRent: address('d7'),
  governor: address('d8'),
};
// Letters, so that a checksummed address differs from the lower-case one.
const operator = address('ab');
const signer = address('cd');
const app = `0x${'aa'.repeat(32)}` as const;
const manifestId = `0x${'bb'.repeat(32)}` as const;
const fields: EnforcedFields = {
  upgradeNoticeSeconds: 60,
  keyVersion: 3,
  minKeyVersion: 2,
  kind: 0,
  imagePolicy: 0,
  replicas: 2,
  stateful: false,
  vetoer: address('ef'),
};

const platform = (byte: number) => `0x${byte.toString(16).padStart(2, '0').repeat(32)}` as const;
const recordOn = (platformId: `0x${string}`): WorkerRecord => ({
  operator: getAddress(operator),
  receiptSigner: getAddress(signer),
  teeType: 2,
  kinds: 1,
  attestedBy: 1,
  simulated: true,
  imageId: app,
  configId: manifestId,
  platformId,
  platformKey: app,
  tcb: manifestId,
  networkKeysHash: zeroBytes32,
});
const [registeredTopic] = encodeEventTopics({ abi: workerRegistryAbi, eventName: 'WorkerRegistered' });
const registered = getAbiItem({ abi: workerRegistryAbi, name: 'WorkerRegistered' });

/** The log of a registration, as a node lists it. */
function registeredLog(workerId: `0x${string}`, record: WorkerRecord): object {
  const args = { workerId, operator: record.operator, receiptSigner: record.receiptSigner };
  const unindexed = registered.inputs.filter(({ indexed }) => !indexed);
  return {
    address: contracts.workerRegistry,
    topics: encodeEventTopics({ abi: workerRegistryAbi, eventName: 'WorkerRegistered', args }),
    data: encodeAbiParameters(unindexed, [record, 2_000_000_000n, 1n, zeroBytes32]),
    blockNumber: '0x1',
    blockHash: app,
    transactionHash: app,
    transactionIndex: '0x0',
    logIndex: '0x0',
    removed: false,
  };
}

let rpc: StubRpc;
let registries: StubRegistries;
let reader: RegistryReader;

beforeAll(async () => {
  rpc = await new StubRpc().start();
  registries = new StubRegistries(31337, contracts);
  rpc.contracts = registries.answer;
  reader = new RegistryReader(new ChainView({ chainId: 31337, rpcs: [rpc.url] }), contracts);
});
afterAll(() => rpc.stop());

describe('RegistryReader', () => {
  test('reads a worker, addresses in lower case and the state by name', async () => {
    const id = registries.activate(operator, 0n, signer, 2_000_000_000n);
    expect(await reader.workerStatus(id)).toEqual({
      operator,
      receiptSigner: signer,
      attestedBy: 'chain',
      leaseUntil: 2_000_000_000n,
      state: 'active',
      kinds: 1,
      teeType: 2,
      simulated: true,
      recordHash: zeroBytes32,
    });
    expect(await reader.workerStatus(zeroBytes32)).toMatchObject({ state: 'unknown', operator: zeroAddress });
    expect(await reader.activeSigner(signer)).toEqual({ active: true, workerId: id });
    expect(await reader.activeSigner(operator)).toEqual({ active: false, workerId: zeroBytes32 });
    expect(await reader.workerIdOf(operator, 0n)).toBe(id);
    expect(await reader.enrolledCount(operator)).toBe(0n);
  });

  test('says who checked the evidence', async () => {
    const id = registries.activate(operator, 0n, signer, 2_000_000_000n);
    const attestedBy = async (number: number) => {
      registries.attestedBy = number;
      return (await reader.workerStatus(id)).attestedBy;
    };
    expect([await attestedBy(0), await attestedBy(2), await attestedBy(3), await attestedBy(1)]).toEqual([
      null,
      'committee',
      null,
      'chain',
    ]);
  });

  test('takes a record from one RPC only where the hash on the chain is its own', async () => {
    const id = registries.activate(operator, 0n, signer, 2_000_000_000n);
    const [first, second, forged] = [platform(1), platform(2), platform(3)].map(recordOn);
    if (first === undefined || second === undefined || forged === undefined) throw new Error('Expected records');
    rpc.intercept = (method, [filter]) => {
      if (method !== 'eth_getLogs') return undefined;
      expect(filter).toMatchObject({ address: contracts.workerRegistry, topics: [registeredTopic, id, null, null] });
      return [first, second, forged].map((record) => registeredLog(id, record));
    };
    registries.recordHashes.set(id, workerRecordHash(second));
    expect(await reader.workerRecord(id)).toEqual(second);
    expect(await reader.platformOf(id)).toBe(platform(2));
    registries.recordHashes.set(id, app);
    await expect(reader.platformOf(id)).rejects.toMatchObject({
      code: 'REGISTRY_RECORD_UNKNOWN',
      meta: { workerId: id, recordHash: app },
    });
    rpc.intercept = (method) => (method === 'eth_getLogs' ? [] : undefined);
    await expect(reader.workerRecord(id)).rejects.toMatchObject({ code: 'REGISTRY_RECORD_UNKNOWN' });
    rpc.intercept = () => undefined;
  });

  test('reads what registering asks, by names; nothing where a type can not register', async () => {
    expect(await reader.teePolicy(2)).toEqual({
      verifier: address('7e'),
      leaseDurationSeconds: 3_600,
      acceptedTcbStatuses: ['UpToDate', 'SWHardeningNeeded'],
      minimumTcbEvaluationDataNumber: 0,
    });
    expect(await reader.teePolicy(1)).toBeUndefined();
  });

  test('reads for how long an eviction is remembered: for ever', async () => {
    expect(await reader.evictionBlockOf(signer)).toBe(0n);
    registries.evictionBlocks.set(signer, 12n);
    expect(await reader.evictionBlockOf(signer)).toBe(12n);
  });

  test('reads an app, and names one that does not exist', async () => {
    registries.apps.set(app, { owner: operator, versions: [{ manifestId, fields, effectiveAt: 0n }] });
    expect(await reader.currentApp(app)).toEqual({ manifestId, version: 1, fields });
    expect(await reader.appOwner(app)).toBe(operator);
    expect(await reader.appOwner(manifestId)).toBe(zeroAddress);
    await expect(reader.currentApp(manifestId)).rejects.toMatchObject({
      code: 'REGISTRY_APP_UNKNOWN',
      meta: { app: manifestId },
    });
  });

  test('reads the secrets that an app’s owner anchored, and the images that it pinned', async () => {
    expect(await reader.secretsOf(app)).toEqual({ bundleId: zeroBytes32, setBy: zeroAddress, setAt: 0n });
    registries.secrets.set(app, { bundleId: manifestId, setBy: operator, setAt: 1_700_000_123n });
    expect(await reader.secretsOf(app)).toEqual({ bundleId: manifestId, setBy: operator, setAt: 1_700_000_123n });
    registries.pinned.add(`${app} ${manifestId}`);
    expect(await reader.isImagePinned(app, manifestId)).toBe(true);
    expect(await reader.isImagePinned(app, app)).toBe(false);
    expect(await reader.isImagePinned(manifestId, manifestId)).toBe(false);
  });

  test('reads images, network files, keys and the clock', async () => {
    registries.images.add(app);
    registries.configs.add(manifestId);
    expect(await reader.imageAllowed(app)).toBe(true);
    expect(await reader.imageAllowed(manifestId)).toBe(false);
    expect(await reader.configAllowed(manifestId)).toBe(true);
    expect(await reader.configAllowed(app)).toBe(false);
    expect(await reader.networkKeysHash()).toBe(zeroBytes32);
    expect(await reader.simulatedAllowed()).toBe(true);
    expect(await reader.clock()).toEqual({ genesis: 1_700_000_000n, epochLength: 60n, roundLength: 30n });
  });

  test('a read can be pinned to a block', async () => {
    const asked: string[] = [];
    rpc.contracts = (call) => {
      asked.push(call.at);
      return registries.answer(call);
    };
    rpc.mine();
    await reader.workerStatus(app, 0n);
    await reader.activeSigner(signer, 1n);
    await reader.secretsOf(app, 0n);
    await reader.isImagePinned(app, app, 1n);
    await reader.imageAllowed(app);
    expect(asked).toEqual(['0x0', '0x1', '0x0', '0x1', `0x${rpc.head.number.toString(16)}`]);
  });
});
