import type { AttestationDevice } from '@cloister/attestation/attest';
import {
  createSimulatedPlatform,
  mintCollateral,
  mintQuote,
  SimulatedTdxDevice,
} from '@cloister/attestation/unsafe-simulated';
import { EvidenceVerifier, evidenceDocument, quoteOf } from '@cloister/attestation/verify';
import { ChainAccount } from '@cloister/chain';
import {
  type Address,
  type Bytes32,
  dstackMrConfigId,
  networkFileId,
  sleep,
  workerId,
  workerReportData,
  zeroBytes32,
} from '@cloister/core';
import { addressOf, generateSecp256k1, toHex } from '@cloister/crypto';
import { createLogger } from '@cloister/service';
import { generatePrivateKey } from 'viem/accounts';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { image, nowSeconds, SimulatedNetwork } from '../../../packages/sdk/test/simulatedNetwork.ts';
import { Registration } from '../src/registration.ts';

// Pauses are as long as they say, but pass at once.
vi.mock('@cloister/core', async (original) => {
  const core = await original<typeof import('@cloister/core')>();
  return { ...core, sleep: vi.fn((_ms: number, signal?: AbortSignal) => core.sleep(1, signal)) };
});

let network: SimulatedNetwork;
let operator: ChainAccount;
let log: string[];
const key = generatePrivateKey();
const signal = () => AbortSignal.timeout(15_000);

beforeEach(async () => {
  network = await SimulatedNetwork.start();
  operator = new ChainAccount({ chainId: network.file.chainId, rpc: network.rpc.url, account: key });
  log = [];
});
afterEach(async () => {
  vi.restoreAllMocks();
  await network.stop();
});

type RegistrationChanges = {
  readonly configId?: Bytes32;
  readonly device?: AttestationDevice;
  readonly composedNetworkId?: Bytes32;
};

function registration(
  receiptSigner: Address = addressOf(generateSecp256k1()),
  index = 0n,
  changes: RegistrationChanges = {},
) {
  const device = new SimulatedTdxDevice({
    platform: createSimulatedPlatform(network.root, { now: nowSeconds() }),
    image,
    configId: changes.configId ?? networkFileId(network.file),
  });
  return new Registration(
    {
      network: network.file,
      registry: network.reader(),
      operator,
      device: changes.device ?? device,
      composedNetworkId: changes.composedNetworkId,
      chainEvidence: async (document) => ({ teeType: 2, evidence: toHex(quoteOf(document)) }),
      receiptSigner,
      log: createLogger({ name: 'worker', write: (line) => log.push(line) }),
    },
    { index, kinds: 1 },
  );
}

const idOf = (index: bigint) =>
  workerId(network.file.chainId, network.file.contracts.workerRegistry, operator.address, index);
const sent = () => network.rpc.asks('eth_sendRawTransaction');
const lease = 3_600n;

describe('registering', () => {
  test('enrols once, and registers with evidence bound to this worker and the block before the newest', async () => {
    const signer = addressOf(generateSecp256k1());
    const made = registration(signer);
    expect(() => made.current).toThrow(expect.objectContaining({ code: 'REGISTRATION_MISSING' }));
    const registered = await made.register(signal());
    expect(registered.workerId).toBe(idOf(0n));
    expect(made.current).toBe(registered);
    expect(network.registries.workers.get(idOf(0n))).toMatchObject({
      operator: operator.address,
      receiptSigner: signer,
      state: 'active',
    });
    // One block was mined for the enrolment; the evidence names the block before that.
    expect(registered.attestedBlock).toBe(4n);
    const bound = workerReportData(
      { ...network.domain, operator: operator.address, receiptSigner: signer, networkKeysHash: zeroBytes32 },
      network.rpc.blocks[4]?.hash ?? zeroBytes32,
    );
    const evidence = new EvidenceVerifier({ roots: [network.root.trustRoot] });
    const document = registered.evidence;
    if (document.teeType !== 'tdx') throw new Error(`Expected evidence of a TD, got ${document.teeType}`);
    expect((await evidence.verify(document, nowSeconds())).reportData).toBe(toHex(bound));
    expect(registered.leaseUntil).toBe(network.registries.workers.get(idOf(0n))?.leaseUntil);
    expect(sent()).toBe(2);

    await made.register(signal());
    expect(sent()).toBe(3);
    expect(network.registries.registrations).toHaveLength(2);
  });

  test('a worker of a higher index enrols those before it too', async () => {
    const registered = await registration(undefined, 2n).register(signal());
    expect(registered.workerId).toBe(idOf(2n));
    expect(network.registries.enrolled.get(operator.address)).toBe(3n);
    await registration(undefined, 1n).register(signal());
    expect(network.registries.enrolled.get(operator.address)).toBe(3n);
  });

  test('a network whose keys the file does not name is not joined', async () => {
    network.registries.networkKeysHash = `0x${'77'.repeat(32)}`;
    await expect(registration().register(signal())).rejects.toMatchObject({ code: 'REGISTRATION_KEYS_UNKNOWN' });
    expect(network.registries.registrations).toEqual([]);
  });
});

describe('the network file', () => {
  const other: Bytes32 = `0x${'66'.repeat(32)}`;
  const composeHash: Bytes32 = `0x${'c5'.repeat(32)}`;
  /** A TD that reports an app's compose hash as dstack makes it do. */
  const dstackDevice = (): AttestationDevice => {
    const platform = createSimulatedPlatform(network.root, { now: nowSeconds() });
    const device = new SimulatedTdxDevice({ platform, image, configId: other });
    const mrConfigId = dstackMrConfigId(composeHash);
    return Object.assign(device, {
      quote: async (reportData: Uint8Array) =>
        evidenceDocument(
          mintQuote(platform, { ...image, mrConfigId, reportData }),
          mintCollateral(platform.root, { issuedAt: nowSeconds() - 3600 }),
        ),
    });
  };
  const mismatch = { code: 'NETWORK_FILE_MISMATCH' };

  test('is the one that the hardware reports, or nothing is registered', async () => {
    for (const changes of [
      { configId: other },
      // What governance allows as a dstack app is no network file.
      { configId: composeHash },
      { configId: zeroBytes32 },
      { composedNetworkId: other },
    ])
      await expect(registration(undefined, 0n, changes).register(signal())).rejects.toMatchObject(mismatch);
    expect(network.registries.registrations).toEqual([]);
    await registration(undefined, 0n, { composedNetworkId: networkFileId(network.file) }).register(signal());
    expect(network.registries.registrations).toHaveLength(1);
  });

  test('is in a dstack CVM the one that the compose file states', async () => {
    const device = dstackDevice();
    for (const changes of [
      { device },
      { device, composedNetworkId: other },
      { device, composedNetworkId: composeHash },
    ])
      await expect(registration(undefined, 0n, changes).register(signal())).rejects.toMatchObject(mismatch);
    expect(network.registries.registrations).toEqual([]);
    const changes = { device, composedNetworkId: networkFileId(network.file) };
    await registration(undefined, 0n, changes).register(signal());
    expect(network.registries.registrations).toHaveLength(1);
  });

  test('that is another one is no matter of waiting', async () => {
    const made = registration(undefined, 0n, { configId: other });
    await expect(made.registerPatiently(signal())).rejects.toMatchObject(mismatch);
    expect(vi.mocked(sleep)).not.toHaveBeenCalled();
  });
});

describe('renewing', () => {
  test('is due when half of the lease is over', async () => {
    const made = registration();
    const before = network.rpc.head.timestamp;
    const { leaseUntil } = await made.register(signal());
    expect(leaseUntil).toBeGreaterThanOrEqual(before + lease);
    const half = leaseUntil - (leaseUntil - before) / 2n;
    expect(await made.isDue(before + 10n, signal())).toBe(false);
    expect(await made.isDue(half - 5n, signal())).toBe(false);
    expect(await made.isDue(half + 5n, signal())).toBe(true);
    expect(await made.isDue(leaseUntil + 1n, signal())).toBe(true);
  });

  test.each<[string, (made: { signer: Address }) => void]>([
    ['an eviction', () => Object.assign(network.registries.workers.get(idOf(0n)) ?? {}, { state: 'evicted' })],
    ['a chain that forgot it', () => network.registries.workerOf.clear()],
    ['a chain that forgot the worker', () => network.registries.workers.clear()],
    [
      'another signer in its place',
      () => Object.assign(network.registries.workers.get(idOf(0n)) ?? {}, { receiptSigner: `0x${'66'.repeat(20)}` }),
    ],
    [
      'a signer that belongs to another worker',
      ({ signer }) => {
        const other = `0x${'66'.repeat(32)}` as const;
        network.registries.workers.set(other, network.registries.workers.get(idOf(0n)) ?? expect.fail());
        network.registries.workerOf.set(signer, other);
      },
    ],
  ])('is due at once after %s', async (_, change) => {
    const signer = addressOf(generateSecp256k1());
    const made = registration(signer);
    await made.register(signal());
    expect(await made.isDue(network.rpc.head.timestamp, signal())).toBe(false);
    change({ signer });
    expect(await made.isDue(network.rpc.head.timestamp, signal())).toBe(true);
  });
});

describe('a retirement', () => {
  const retire = () => Object.assign(network.registries.workers.get(idOf(0n)) ?? {}, { state: 'retired' });

  test('of what it registered ends renewing and registering at once, by name and with who did it', async () => {
    const made = registration();
    await made.register(signal());
    retire();
    expect(await made.isDue(network.rpc.head.timestamp, signal())).toBe(true);
    await expect(made.registerPatiently(signal())).rejects.toMatchObject({
      code: 'WORKER_RETIRED',
      retry: false,
      meta: { workerId: idOf(0n), operator: operator.address },
    });
    expect(network.registries.registrations).toHaveLength(1);
    expect(log.join('')).not.toContain('trying again');
  });

  test('that comes while evidence is made is not overrun', async () => {
    let quoting = () => {};
    const platform = createSimulatedPlatform(network.root, { now: nowSeconds() });
    const device = new SimulatedTdxDevice({ platform, image, configId: networkFileId(network.file) });
    const quote = device.quote.bind(device);
    vi.spyOn(device, 'quote').mockImplementation((...args) => {
      quoting();
      return quote(...args);
    });
    const made = registration(undefined, 0n, { device });
    await made.register(signal());
    quoting = retire;
    await expect(made.register(signal())).rejects.toMatchObject({ code: 'WORKER_RETIRED' });
    expect(network.registries.registrations).toHaveLength(1);
  });

  test('of an earlier process, with a signer of its own, keeps nobody from registering', async () => {
    await registration().register(signal());
    retire();
    const after = registration();
    await after.registerPatiently(signal());
    expect(await after.isDue(network.rpc.head.timestamp, signal())).toBe(false);
    expect(network.registries.workers.get(idOf(0n))?.state).toBe('active');
  });

  test('is not taken from an RPC that still shows the state before this process registered', async () => {
    await registration().register(signal());
    retire();
    const before = { ...(network.registries.workers.get(idOf(0n)) ?? expect.fail()) };
    const made = registration();
    await made.register(signal());
    Object.assign(network.registries.workers.get(idOf(0n)) ?? {}, before);
    await made.registerPatiently(signal());
    expect(network.registries.workers.get(idOf(0n))?.state).toBe('active');
  });
});

describe('registering patiently', () => {
  const stale = {
    WorkerRegistryBlockTooOld: [3n, 300n],
    WorkerRegistryBlockUnknown: [3n, 300n],
    WorkerRegistryBlockHashMismatch: [3n, zeroBytes32, zeroBytes32],
    CommitteeResultVerifierNotSigned: [zeroBytes32],
  } as const;

  test.each(Object.keys(stale) as (keyof typeof stale)[])(
    'tries again with new evidence when block or committee were others on the way: %s',
    async (errorName) => {
      let refusals = 2;
      network.registries.refuseRegistration = () =>
        refusals-- > 0 ? { errorName, args: stale[errorName] } : undefined;
      vi.mocked(sleep).mockClear();
      vi.spyOn(Math, 'random').mockReturnValue(0);
      const registered = await registration().registerPatiently(signal());
      expect(registered.workerId).toBe(idOf(0n));
      expect(log.filter((line) => line.includes('trying again'))).toHaveLength(2);
      expect(vi.mocked(sleep).mock.calls.map(([ms]) => ms)).toEqual([125, 250]);
    },
  );

  test('tries again when the chain is away', async () => {
    let failures = 2;
    network.rpc.intercept = (method) => {
      if (method === 'eth_getBlockByNumber' && failures-- > 0) throw new Error('away');
    };
    const registered = await registration().registerPatiently(signal());
    expect(registered.workerId).toBe(idOf(0n));
  });

  test.each([
    ['WorkerRegistryImageNotAllowed', [`0x${'11'.repeat(32)}`]],
    ['WorkerRegistryConfigNotAllowed', [`0x${'11'.repeat(32)}`]],
    ['WorkerRegistrySignerUsed', [`0x${'11'.repeat(20)}`, `0x${'11'.repeat(32)}`]],
    ['WorkerRegistryBindingMismatch', [zeroBytes32, zeroBytes32]],
    ['WorkerRegistrySimulatedRefused', []],
  ])('a final refusal ends it at once, by its name: %s', async (errorName, args) => {
    network.registries.refuseRegistration = () => ({ errorName, args });
    await expect(registration().registerPatiently(signal())).rejects.toMatchObject({
      code: 'TRANSACTION_REFUSED',
      meta: { errorName },
    });
    expect(log.join('')).not.toContain('trying again');
    expect(network.registries.registrations).toEqual([]);
  });

  test("ends with the caller's wish", async () => {
    network.rpc.intercept = () => {
      throw new Error('away');
    };
    const leaving = new AbortController();
    const waiting = registration().registerPatiently(leaving.signal);
    await expect.poll(() => log.length).toBeGreaterThan(0);
    leaving.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'ABORTED' });
  });
});
