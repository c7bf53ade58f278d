import type { RegistryReader, WorkerRecord } from '@cloister/chain';
import {
  type Bytes32,
  CloisterError,
  functionManifest,
  hostsPartition,
  imagePolicies,
  type Manifest,
  manifestId,
  zeroBytes32,
} from '@cloister/core';
import type { PlacementReader } from '@cloister/placement';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { address, bytes32, SimulatedNetwork } from '../../../packages/sdk/test/simulatedNetwork.ts';
import { HeadWatchError } from '../src/heads/headWatch.ts';
import { readKeyFacts, type StateFacts } from '../src/keys/chainKeyFacts.ts';
import { ReleaseLog } from '../src/keys/releaseLog.ts';

const [operator, signer] = [address(0xab), address(0xcd)];
const record: WorkerRecord = {
  operator,
  receiptSigner: signer,
  teeType: 2,
  kinds: 1,
  attestedBy: 1,
  simulated: true,
  imageId: bytes32(0x1a),
  configId: bytes32(0x1b),
  platformId: bytes32(0x1c),
  platformKey: bytes32(0x1d),
  tcb: bytes32(0x1e),
  networkKeysHash: bytes32(0x1f),
};
const stateless = functionManifest({
  name: 'sample',
  code: { sha256: bytes32(0xcc), bytes: 10 },
  placement: { replicas: 2, teeTypes: ['tdx'], minTcbEvaluationDataNumber: 17, distinct: [] },
});
const signal = () => AbortSignal.timeout(15_000);

let manifest = stateless;
let network: SimulatedNetwork;
let registry: RegistryReader;
let releases: ReleaseLog;
/** What placement was asked. */
let placed: unknown[][];
/** The newest block that others see too. Throws where the chain is not the one that they see. */
let witnessed: (from: bigint) => bigint;
let hosts: () => Promise<readonly Bytes32[]>;
beforeEach(async () => {
  manifest = stateless;
  network = await SimulatedNetwork.start();
  network.registries.genesis = network.rpc.head.timestamp - 60n * 7n - 5n;
  registry = network.reader();
  releases = new ReleaseLog();
  placed = [];
  witnessed = () => network.rpc.head.number;
  hosts = async () => [bytes32(3), bytes32(4)];
});
afterEach(() => network.stop());

async function read(from = 0n): Promise<StateFacts> {
  const { genesis, epochLength, roundLength } = network.registries;
  const placementOf = async (...asked: unknown[]) => {
    placed.push(asked.slice(0, 3));
    return { hosts: await hosts() };
  };
  return readKeyFacts(
    {
      registry,
      clock: { genesis, epochLength, roundLength },
      releases,
      heads: { witnessed: async (block) => registry.view.blockAt(witnessed(block)) },
      placement: { placementOf } as unknown as PlacementReader,
      manifest: async (id) => {
        if (id !== manifestId(manifest)) throw new Error('no such manifest');
        return manifest;
      },
    },
    from,
    signal(),
  );
}

/** A worker that is registered and would be accepted now. */
function register(): Bytes32 {
  const { registries, rpc } = network;
  const id = registries.activate(operator, 0n, signer, rpc.head.timestamp + 3_600n);
  rpc.logs = [registries.keepRecord(id, record)];
  registries.images.add(record.imageId);
  registries.configs.add(record.configId);
  return id;
}

describe('the facts of one decision', () => {
  test('are of the newest block, its epoch, and the keys that the registry has then', async () => {
    network.registries.networkKeysHash = bytes32(0x5a);
    expect(await read()).toMatchObject({ block: 4n, epoch: 7n, networkKeysHash: bytes32(0x5a) });
  });

  test('have that block’s time, and which partitions the state of a manifest has', async () => {
    const facts = await read();
    expect(facts.now).toBe(network.rpc.head.timestamp);
    const asked = [0, 4, 5, hostsPartition];
    const has = async (changes: Partial<Manifest>) => {
      manifest = { ...manifest, state: null, schedules: [], ...changes };
      const now = await read();
      const all = asked.map((partition) => now.hasPartition(manifestId(manifest), partition, signal()));
      return (await Promise.all(all)).map(Number).join('');
    };
    expect(await has({})).toBe('0000');
    expect(await has({ state: { partitions: 5 } })).toBe('1100');
    expect(await has({ schedules: [{ cron: '0 * * * *' }] })).toBe('0001');
    await expect(facts.hasPartition(bytes32(9), 0, signal())).rejects.toThrow('no such manifest');
  });

  test('are none of a chain that enough other members do not see', async () => {
    const asked: bigint[] = [];
    witnessed = (from) => {
      asked.push(from);
      throw new HeadWatchError('nobody else sees it');
    };
    await expect(read(4n)).rejects.toMatchObject({ code: 'CHAIN_UNWITNESSED', retry: true });
    expect(asked).toEqual([4n]);
  });

  test('are of the block that others see too, not of a newer one; nothing is final after it', async () => {
    witnessed = () => 3n;
    const { genesis, roundLength } = network.registries;
    const { timestamp } = await registry.view.blockAt(3n);
    network.rpc.mine(network.rpc.head.timestamp + 600n);
    expect(await read()).toMatchObject({ block: 3n, finalRound: (timestamp - genesis) / roundLength });
  });

  test('stay those of that block, whatever comes after it', async () => {
    register();
    const { app } = network.addApp();
    const at = new Set<string>();
    network.rpc.contracts = (call) => {
      at.add(call.at);
      return network.registries.answer(call);
    };
    const facts = await read();
    network.rpc.mine(network.rpc.head.timestamp + 60n);
    await facts.worker(signer, signal());
    await facts.app(app, signal());
    await facts.isImagePinned(app, record.imageId, signal());
    await facts.placement(app, manifestId(manifest), signal());
    expect([...at]).toEqual(['0x4']);
    expect(placed).toMatchObject([[app, manifest, { number: 4n }]]);
    expect((await read()).epoch).toBe(8n);
  });
});

describe('a worker', () => {
  test('is who registered with the signer, with platform, image and keys as the registered hash proves them', async () => {
    const workerId = register();
    expect(await (await read()).worker(signer, signal())).toEqual({
      workerId,
      active: true,
      platformId: record.platformId,
      imageId: record.imageId,
      networkKeysHash: record.networkKeysHash,
      standing: {
        imageAllowed: true,
        configAllowed: true,
        platformAllowed: true,
        tcbAccepted: true,
        tcbEvaluationDataNumber: 18,
      },
    });
  });

  test('is none where nobody registered with it', async () => {
    register();
    expect(await (await read()).worker(operator, signal())).toBeUndefined();
  });

  test('is one, and not active, where its lease has ended', async () => {
    const worker = network.registries.workers.get(register());
    if (worker !== undefined) worker.leaseUntil = network.rpc.head.timestamp;
    expect(await (await read()).worker(signer, signal())).toMatchObject({ active: false });
  });

  test('is one that is no longer accepted where image, network file or TCB are not', async () => {
    register();
    const { registries } = network;
    const standing = async () => (await (await read()).worker(signer, signal()))?.standing;
    registries.images.delete(record.imageId);
    expect(await standing()).toMatchObject({ imageAllowed: false, configAllowed: true, tcbAccepted: true });
    registries.configs.delete(record.configId);
    expect(await standing()).toMatchObject({ configAllowed: false });
    registries.blockedPlatforms.add(record.platformId);
    expect(await standing()).toMatchObject({ platformAllowed: false });
    registries.recheck = { status: 6, tcbEvaluationDataNumber: 19 };
    expect(await standing()).toMatchObject({ tcbAccepted: false, tcbEvaluationDataNumber: 19 });
    registries.recheck = { status: 1, tcbEvaluationDataNumber: 16 };
    registries.teePolicy.minimumTcbEvaluationDataNumber = 17;
    expect(await standing()).toMatchObject({ tcbAccepted: false, tcbEvaluationDataNumber: 16 });
  });

  test('is not taken by one RPC’s word: a record with another hash is no answer', async () => {
    const workerId = register();
    network.registries.recordHashes.set(workerId, zeroBytes32);
    await expect((await read()).worker(signer, signal())).rejects.toMatchObject({ code: 'REGISTRY_RECORD_UNKNOWN' });
  });
});

describe('an app', () => {
  test('is what it serves: manifest, versions of its keys, image policy', async () => {
    const { app, manifest: served } = network.addApp({ imagePolicy: 'both' });
    const version = network.registries.apps.get(app)?.versions[0];
    if (version !== undefined) version.fields = { ...version.fields, keyVersion: 4, minKeyVersion: 2 };
    expect(await (await read()).app(app, signal())).toEqual({
      manifestId: manifestId(served),
      keyVersion: 4,
      minKeyVersion: 2,
      imagePolicy: imagePolicies.both,
    });
  });

  test('is undefined where there is none; a chain that does not answer is no such word', async () => {
    const facts = await read();
    expect(await facts.app(bytes32(0xaa), signal())).toBeUndefined();
    network.rpc.contracts = () => {
      throw new Error('disk full');
    };
    await expect(facts.app(bytes32(0xaa), signal())).rejects.toMatchObject({ code: 'CHAIN_UNREACHABLE' });
  });

  test('has the images that its owner pinned', async () => {
    const { app } = network.addApp();
    network.registries.pinned.add(`${app} ${record.imageId}`);
    const facts = await read();
    expect(await facts.isImagePinned(app, record.imageId, signal())).toBe(true);
    expect(await facts.isImagePinned(app, record.configId, signal())).toBe(false);
  });

  test('has its hosts by the rules of its manifest, and the data that it wants them judged by', async () => {
    const facts = await read();
    expect(await facts.placement(bytes32(0xaa), manifestId(manifest), signal())).toEqual({
      hosts: [bytes32(3), bytes32(4)],
      minTcbEvaluationDataNumber: 17,
    });
    expect(placed).toMatchObject([[bytes32(0xaa), manifest, { number: 4n }]]);
    hosts = () => Promise.reject(new CloisterError({ code: 'PLACEMENT_PENDING', message: 'Soon', retry: true }));
    const pending = facts.placement(bytes32(0xaa), manifestId(manifest), signal());
    await expect(pending).rejects.toMatchObject({ code: 'PLACEMENT_PENDING' });
  });
});

test('a platform’s apps are counted in the epoch of that block', async () => {
  const identity = { app: bytes32(1), keyVersion: 1, class: 'secrets', context: zeroBytes32 } as const;
  const release = { ...identity, workerId: bytes32(3), platformId: bytes32(4), request: bytes32(9) };
  releases.add({ ...release, epoch: 6n });
  expect((await read()).appsOf(bytes32(4), bytes32(2))).toBe(0);
  releases.add({ ...release, epoch: 7n });
  const facts = await read();
  expect([facts.appsOf(bytes32(4), bytes32(2)), facts.appsOf(bytes32(4), bytes32(1))]).toEqual([1, 0]);
});
