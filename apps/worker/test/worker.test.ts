import { createSimulatedPlatform, SimulatedTdxDevice } from '@cloister/attestation/unsafe-simulated';
import { quoteOf } from '@cloister/attestation/verify';
import { ChainAccount } from '@cloister/chain';
import { sealRequest } from '@cloister/channel/client';
import { encodeCallOpen, parseCallHead, parseCallOpen } from '@cloister/channel/frame';
import {
  announcementFromJson,
  type Bytes32,
  keyConfigDigest,
  keyConfigStatement,
  networkFileId,
  type WorkerAnnouncement,
  zeroBytes32,
} from '@cloister/core';
import {
  addressOf,
  fromHex,
  generateSecp256k1,
  randomBytes,
  recoverAddress,
  SecretBytes,
  signDigest,
  toBase64Url,
  toHex,
  utf8,
} from '@cloister/crypto';
import { createLogger } from '@cloister/service';
import { generatePrivateKey } from 'viem/accounts';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { framePair, settle } from '../../../packages/channel/test/framePair.ts';
import { image, nowSeconds, SimulatedNetwork } from '../../../packages/sdk/test/simulatedNetwork.ts';
import { Worker } from '../src/worker.ts';
import { StubDriver } from './stubDriver.ts';

let network: SimulatedNetwork;
let driver: StubDriver;
let running: { stop(): Promise<void> }[] = [];

beforeEach(async () => {
  network = await SimulatedNetwork.start();
  driver = new StubDriver();
  running = [];
});
afterEach(async () => {
  for (const one of running) await one.stop();
  await network.stop();
});

async function start(tickMs = 10, key = generatePrivateKey()) {
  const secret = generateSecp256k1();
  const announced: WorkerAnnouncement[] = [];
  const log: string[] = [];
  const lost: unknown[] = [];
  const stopping = new AbortController();
  const worker = new Worker(
    {
      network: network.file,
      registry: network.reader(),
      operator: new ChainAccount({
        chainId: network.file.chainId,
        rpc: network.rpc.url,
        account: key,
      }),
      device: new SimulatedTdxDevice({
        platform: createSimulatedPlatform(network.root, { now: nowSeconds() }),
        image,
        configId: networkFileId(network.file),
      }),
      chainEvidence: async (document) => ({ teeType: 2, evidence: toHex(quoteOf(document)) }),
      drivers: [driver],
      receiptSigner: { address: addressOf(secret), sign: (digest) => signDigest(secret, digest) },
      announce: (text) => announced.push(announcementFromJson(JSON.parse(text))),
      log: createLogger({ name: 'worker', write: (line) => log.push(line) }),
    },
    { index: 0n, tickMs },
  );
  const stop = async (): Promise<void> => {
    stopping.abort();
    await worker.stop();
  };
  running.push({ stop });
  const registered = await worker.start(stopping.signal, (error) => lost.push(error));
  return { worker, registered, announced, log, lost, stop, key, signer: addressOf(secret) };
}

/** A sealed call, sent to a worker by a gateway. */
async function callOf(worker: Worker, announced: readonly WorkerAnnouncement[], app: Bytes32) {
  const pair = framePair({
    worker: {
      onStream: (stream) =>
        void worker
          .serve(stream, parseCallOpen(stream.header), new AbortController().signal)
          .finally(() => stream.reset('internal', 'through')),
    },
  });
  const sealed = await sealRequest({
    keyConfig: fromHex(announced.at(-1)?.keyConfigs[0]?.config ?? '0x'),
    call: {
      app,
      manifest: network.registries.apps.get(app)?.versions[0]?.manifestId ?? zeroBytes32,
      callId: toBase64Url(randomBytes(16)),
      clientKey: new SecretBytes(randomBytes(32)),
      context: zeroBytes32,
      maxFee: 0n,
    },
    request: { method: 'GET', path: '/', headers: [], body: new Uint8Array() },
  });
  const stream = pair.gateway.mux.openStream(encodeCallOpen({ method: 'call', contentLength: null }));
  await stream.end(sealed.encapsulated).catch(() => {});
  return { status: async () => parseCallHead(await stream.head()).status };
}

const keyEnds = (announcement: WorkerAnnouncement | undefined) => announcement?.keyConfigs[0]?.notAfter ?? 0n;

describe('Worker', () => {
  test('registers, and announces evidence and a key signed within its lease', async () => {
    const { registered, announced, signer } = await start();
    expect(announced).toHaveLength(1);
    const [announcement] = announced;
    expect(announcement).toMatchObject({
      workerId: registered.workerId,
      receiptSigner: signer,
      attestedBlock: registered.attestedBlock,
      kinds: ['function'],
    });
    const [key] = announcement?.keyConfigs ?? [];
    if (key === undefined) expect.fail('No key');
    expect(key.notAfter).toBeLessThanOrEqual(registered.leaseUntil);
    const statement = keyConfigStatement(fromHex(key.config), key.notBefore, key.notAfter);
    expect(recoverAddress(fromHex(keyConfigDigest(network.domain, statement)), fromHex(key.signature))).toBe(signer);
  });

  test('announces nothing new while nothing has changed', async () => {
    const { announced } = await start();
    const asked = network.rpc.asks('eth_blockNumber');
    await expect.poll(() => network.rpc.asks('eth_blockNumber')).toBeGreaterThan(asked + 8);
    expect(announced).toHaveLength(1);
  });

  test("renews its lease in time by the chain's clock, and its key with it", async () => {
    const { announced, registered } = await start();
    network.rpc.mine(registered.leaseUntil - 600n);
    await expect.poll(() => keyEnds(announced.at(-1)), { timeout: 5_000 }).toBeGreaterThan(registered.leaseUntil);
    expect(network.registries.registrations).toHaveLength(2);
    expect(announced.at(-1)?.attestedBlock).toBeGreaterThan(registered.attestedBlock);
    expect(announced.at(-1)?.keyConfigs.length).toBeLessThanOrEqual(2);
  });

  test('announces another key when the chain gives it a shorter lease', async () => {
    const { announced, registered } = await start();
    network.registries.leaseSeconds = 600n;
    network.registries.workerOf.clear();
    await expect.poll(() => keyEnds(announced.at(-1)), { timeout: 5_000 }).toBeLessThan(registered.leaseUntil - 2_000n);
  });

  test("announces another key when the chain went back before the key's time", async () => {
    const { announced } = await start();
    const before = announced.at(-1)?.keyConfigs[0]?.notBefore ?? 0n;
    network.rpc.blocks = network.rpc.blocks.map((block) => ({ ...block, timestamp: block.timestamp - 100n }));
    const newest = () => announced.at(-1)?.keyConfigs[0]?.notBefore ?? before;
    await expect.poll(newest, { timeout: 5_000 }).toBe(network.rpc.head.timestamp);
  });

  test('registers again when the chain has forgotten it', async () => {
    const { registered } = await start();
    network.registries.workerOf.clear();
    await expect.poll(() => network.registries.registrations.length, { timeout: 5_000 }).toBe(2);
    expect(network.registries.workers.get(registered.workerId)?.state).toBe('active');
  });

  test('waits for a chain that is away, says so once, and goes on', async () => {
    const { log, lost } = await start();
    network.rpc.intercept = () => {
      throw new Error('away');
    };
    await expect.poll(() => log.filter((line) => line.includes('chain: away')).length, { timeout: 5_000 }).toBe(1);
    const asked = network.rpc.asked.length;
    await expect.poll(() => network.rpc.asked.length, { timeout: 5_000 }).toBeGreaterThan(asked + 4);
    network.rpc.intercept = () => undefined;
    await expect.poll(() => log.filter((line) => line.includes('chain: back')).length, { timeout: 5_000 }).toBe(1);
    expect(log.filter((line) => line.includes('chain: away'))).toHaveLength(1);
    expect(lost).toEqual([]);
  });

  test('is lost, by name, when the contract will never take it again', async () => {
    const { lost } = await start();
    network.registries.workerOf.clear();
    network.registries.refuseRegistration = () => ({
      errorName: 'WorkerRegistryImageNotAllowed',
      args: [`0x${'11'.repeat(32)}`],
    });
    await expect
      .poll(() => lost, { timeout: 5_000 })
      .toMatchObject([{ code: 'TRANSACTION_REFUSED', meta: { errorName: 'WorkerRegistryImageNotAllowed' } }]);
  });

  test('is lost, by name, when its operator retires it, and registers no more', async () => {
    const { registered, lost, log } = await start();
    const record = network.registries.workers.get(registered.workerId);
    Object.assign(record ?? {}, { state: 'retired' });
    await expect
      .poll(() => lost, { timeout: 5_000 })
      .toMatchObject([
        {
          code: 'WORKER_RETIRED',
          meta: { workerId: registered.workerId, operator: record?.operator },
          message: expect.stringContaining(`retired on the chain by its operator "${record?.operator}"`),
          hint: expect.stringContaining('Start it again'),
        },
      ]);
    const asked = network.rpc.asked.length;
    await settle();
    expect(network.rpc.asked.length).toBe(asked);
    expect(network.registries.registrations).toHaveLength(1);
    expect(log.join('')).not.toContain('trying again');
  });

  test('sees a retirement that it slept through: it stands in the state, and no event is needed', async () => {
    const { registered, lost } = await start();
    network.rpc.intercept = () => {
      throw new Error('away');
    };
    Object.assign(network.registries.workers.get(registered.workerId) ?? {}, { state: 'retired' });
    network.rpc.mine(registered.leaseUntil + 600n);
    network.rpc.intercept = () => undefined;
    await expect.poll(() => lost, { timeout: 5_000 }).toMatchObject([{ code: 'WORKER_RETIRED' }]);
    expect(network.registries.registrations).toHaveLength(1);
  });

  test('is not lost when the record of an earlier process of it was retired: starting it is the wish to register', async () => {
    const first = await start();
    await first.stop();
    Object.assign(network.registries.workers.get(first.registered.workerId) ?? {}, { state: 'retired' });
    const second = await start(10, first.key);
    expect(second.registered.workerId).toBe(first.registered.workerId);
    expect(second.signer).not.toBe(first.signer);
    expect(network.registries.workers.get(first.registered.workerId)?.state).toBe('active');
    const asked = network.rpc.asks('eth_blockNumber');
    await expect.poll(() => network.rpc.asks('eth_blockNumber')).toBeGreaterThan(asked + 8);
    expect(second.lost).toEqual([]);
    expect(network.registries.registrations).toHaveLength(2);
  });

  test('takes no call once it has seen that it is retired', async () => {
    const { worker, announced, lost, registered } = await start();
    const { app } = network.addApp();
    const { status } = await callOf(worker, announced, app);
    expect(await status()).toBe(200);
    Object.assign(network.registries.workers.get(registered.workerId) ?? {}, { state: 'retired' });
    await expect.poll(() => lost, { timeout: 5_000 }).toHaveLength(1);
    const late = await callOf(worker, announced, app);
    await expect(late.status()).rejects.toThrow('has left the network');
  });

  test('does not start where the contract refuses it', async () => {
    network.registries.refuseRegistration = () => ({ errorName: 'WorkerRegistrySimulatedRefused', args: [] });
    await expect(start()).rejects.toMatchObject({ code: 'TRANSACTION_REFUSED' });
  });

  test('answers sealed calls, and none once it is stopped', async () => {
    const { worker, announced, stop } = await start();
    const { app, manifest } = network.addApp();
    const call = async () => (await callOf(worker, announced, app)).status();
    expect(manifest.kind).toBe('function');
    driver.run = () => ({ body: [utf8('hi')] });
    expect(await call()).toBe(200);
    await stop();
    expect(await call()).toBe(400);
  });

  test('takes no call before it is registered', async () => {
    const worker = new Worker(
      {
        network: {},
        drivers: [],
        device: { simulated: true },
        receiptSigner: { address: zeroBytes32 },
        registry: {},
      } as never,
      {
        index: 0n,
      },
    );
    const resets: string[] = [];
    await worker.serve(
      { reset: (code: string) => resets.push(code) } as never,
      {} as never,
      new AbortController().signal,
    );
    expect(resets).toEqual(['internal']);
    expect(() => worker.registered).toThrow(expect.objectContaining({ code: 'REGISTRATION_MISSING' }));
  });
});
