import { parseKeyConfig } from '@cloister/channel/client';
import { announcementToJson, type NetworkFile, type WorkerAnnouncement, zeroBytes32 } from '@cloister/core';
import { fromHex, generateSecp256k1, toHex, utf8 } from '@cloister/crypto';
import { createClient, type ListedWorker } from '@cloister/sdk';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { StubRpc } from '../../chain/test/stubRpc.ts';
import { address, bytes32, image, SimulatedNetwork, type StubWorker } from './simulatedNetwork.ts';

let network: SimulatedNetwork;
let worker: StubWorker;
let app: `0x${string}`;

beforeEach(async () => {
  network = await SimulatedNetwork.start();
  worker = await network.addWorker();
  app = network.addApp().app;
});
afterEach(async () => {
  vi.useRealTimers();
  await network.stop();
});

const client = (changes: Partial<Parameters<typeof createClient>[0]> = {}) =>
  createClient({ network: network.file, fetch: network.gateway.fetch, ...changes });
const announce = (changes: Partial<WorkerAnnouncement>) => {
  worker.announcement = { ...worker.announcement, ...changes };
};

describe('only a worker that was verified is ever sealed to', () => {
  // Each of these refuses the worker at another step; the gateway lists it all the same.
  const hostile: readonly [string, () => unknown][] = [
    [
      'a worker of another network file',
      () => announce({ evidence: worker.evidence({ mrConfigId: new Uint8Array(48) }) }),
    ],
    [
      'an image that is not allowed',
      () => announce({ evidence: worker.evidence({ image: { ...image, mrtd: new Uint8Array(48) } }) }),
    ],
    [
      'evidence of another worker',
      async () => announce({ evidence: (await network.addWorker(address(0x0c))).announcement.evidence }),
    ],
    [
      'an evicted worker',
      () => Object.assign(network.registries.workers.get(worker.workerId) ?? {}, { state: 'evicted' }),
    ],
    [
      'a worker whose lease is over',
      () => Object.assign(network.registries.workers.get(worker.workerId) ?? {}, { leaseUntil: 1n }),
    ],
    [
      'a key of somebody else',
      async () => announce({ keyConfigs: [await worker.newKey({ signer: generateSecp256k1() })] }),
    ],
    ['a block nobody has', () => announce({ attestedBlock: 2n ** 63n })],
    ['another operator', () => announce({ operator: address(0x66) })],
    [
      'a chain that stands still',
      () => (network.rpc.blocks = network.rpc.blocks.map((one) => ({ ...one, timestamp: one.timestamp - 1_000n }))),
    ],
    ['no worker at all', () => network.gateway.workers.clear()],
    ['nonsense', () => (network.gateway.directory = () => [null, 1, {}, { announcement: { format: 'x' } }])],
    ['a directory that is none', () => (network.gateway.directory = () => ({}) as never)],
  ];

  test.each(hostile)('a gateway that lists %s gets nothing', async (name, arrange) => {
    await arrange();
    if (name === 'evidence of another worker')
      network.gateway.workers.delete([...network.gateway.workers.keys()][1] ?? '0x');
    await expect(client().call(app, { method: 'POST', body: utf8('secret') })).rejects.toMatchObject({
      code: 'CALL_NO_WORKER',
    });
    expect(network.gateway.calls).toEqual([]);
  });

  test('one hostile announcement does not take the others away', async () => {
    const other = await network.addWorker(address(0x0c));
    announce({ attestedBlock: 2n ** 64n - 1n });
    const result = await client().call(app);
    expect(result.worker.workerId).toBe(other.workerId);
  });

  test('the key is the one that was verified, whatever is announced between verification and call', async () => {
    const one = client();
    await one.call(app);
    const [verified] = worker.announcement.keyConfigs;
    announce({ keyConfigs: [await worker.newKey({ signer: generateSecp256k1() })] });
    await one.call(app);
    const { keyId } = parseKeyConfig(fromHex(verified?.config ?? '0x'));
    expect(network.gateway.calls.map(({ bytes }) => bytes[0])).toEqual([keyId, keyId]);
  });

  test('workers are listed with what was found, or with the reason', async () => {
    const evicted = await network.addWorker(address(0x0c));
    Object.assign(network.registries.workers.get(evicted.workerId) ?? {}, { state: 'evicted' });
    const listed = await client().workers();
    const by = (id: string) => listed.find(({ announcement }) => announcement.workerId === id) as ListedWorker;
    expect(by(worker.workerId).verified?.workerId).toBe(worker.workerId);
    expect(by(evicted.workerId).verified).toBeUndefined();
    expect(by(evicted.workerId).refusal).toMatchObject({ code: 'WORKER_NOT_REGISTERED' });
  });

  test('a worker that one gateway shows wrongly is taken from the one that shows it right', async () => {
    const wrong = { announcement: announcementToJson({ ...worker.announcement, operator: address(0x66) }) };
    const gateways = ['http://127.0.0.1:2', 'http://127.0.0.1:3', network.gateway.url];
    const fetch: typeof globalThis.fetch = async (input, init) => {
      const url = String(input);
      if (url.startsWith('http://127.0.0.1:2')) throw new TypeError('fetch failed');
      if (url.startsWith('http://127.0.0.1:3')) return Response.json([wrong]);
      return network.gateway.fetch(input, init);
    };
    const listed = await client({ fetch, gateways }).workers();
    expect(listed).toHaveLength(1);
    expect(listed[0]).toMatchObject({ gateway: network.gateway.url, verified: { workerId: worker.workerId } });
  });

  test('a chain that is away is an error, not an empty network', async () => {
    network.rpc.intercept = (method) => {
      if (method === 'eth_getBlockByNumber') throw new Error('away');
    };
    await expect(client().workers()).rejects.toMatchObject({ code: 'CHAIN_UNREACHABLE' });
  });
});

describe('what a client trusts', () => {
  test('is the network file that it was given, checked', () => {
    const bytes = utf8(JSON.stringify(network.file));
    expect(client({ network: bytes }).networkId).toBe(client().networkId);
    for (const wrong of [{}, { ...network.file, more: 1 }, { ...network.file, chainId: '1' }, utf8('{')])
      expect(() => client({ network: wrong as NetworkFile })).toThrow(/network file/);
  });

  test('all RPCs must agree', async () => {
    const liar = await new StubRpc().start();
    liar.blocks = [...network.rpc.blocks];
    liar.contracts = (call) =>
      call.to === network.file.contracts.imageRegistry ? `0x${'00'.repeat(31)}01` : network.rpc.contracts(call);
    network.registries.images.clear();
    try {
      const both = client({ rpcs: [network.rpc.url, liar.url] });
      await expect(both.workers()).rejects.toMatchObject({ code: 'CHAIN_SPLIT' });
    } finally {
      await liar.stop();
    }
  });
});

describe('an app whose owner published a version meanwhile', () => {
  /** A worker that runs only what the chain says is served, and refuses anything else unrun. */
  const strict = (app: `0x${string}`) => {
    worker.run = async ({ call }) =>
      call.manifest === network.registries.apps.get(app)?.versions[0]?.manifestId
        ? { body: [utf8('new')] }
        : { status: 422, outcome: 'refused', manifest: zeroBytes32, code: 'APP_OTHER_MANIFEST', body: [utf8('{}')] };
  };
  const nextVersion = () => network.addApp({ name: 'next' }).manifest;

  test('is called again in its new version, once', async () => {
    const one = client();
    await one.call(app);
    strict(app);
    network.publish(app, nextVersion());
    expect(await one.call(app)).toMatchObject({ outcome: 'ok', app: { manifest: { name: 'next' } } });
    expect(network.gateway.calls.length).toBe(3);
  });

  test('is not, where the caller named the version', async () => {
    const one = client();
    const { app: first } = await one.call(app);
    strict(app);
    network.publish(app, nextVersion());
    expect(await one.call(app, {}, { manifest: first.manifestId })).toMatchObject({ outcome: 'refused' });
  });

  test('is not, where the chain knows of no other version: a worker that lies gets no second call', async () => {
    const one = client();
    await one.call(app);
    worker.run = async () => ({ status: 422, outcome: 'refused', manifest: zeroBytes32, code: 'APP_OTHER_MANIFEST' });
    expect(await one.call(app)).toMatchObject({ outcome: 'refused' });
    expect(network.gateway.calls.length).toBe(2);
  });
});

describe('which worker is called', () => {
  test('one that offers the kind on the chain, whatever it announces', async () => {
    Object.assign(network.registries.workers.get(worker.workerId) ?? {}, { kinds: 0b0010 });
    await expect(client().call(app)).rejects.toMatchObject({
      code: 'CALL_NO_WORKER',
      message: `No worker may be used: ${worker.workerId}: it runs no functions`,
    });
  });

  test('none, and the error says why each was refused, the first few of many', async () => {
    for (let more = 0; more < 4; more++) await network.addWorker(address(0x20 + more));
    for (const entry of network.registries.workers.values()) Object.assign(entry, { state: 'evicted' });
    const error: unknown = await client()
      .call(app)
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'CALL_NO_WORKER', message: expect.stringContaining('state "evicted"') });
    expect(error).toMatchObject({ message: expect.stringMatching(/; and 2 more$/) });
    network.gateway.workers.clear();
    await expect(client().call(app)).rejects.toMatchObject({
      code: 'CALL_NO_WORKER',
      message: 'No gateway lists a worker',
    });
  });

  test('one whose TEE and TCB the manifest takes', async () => {
    const placement = { replicas: 2, teeTypes: ['sev-snp'], minTcbEvaluationDataNumber: 0, distinct: [] } as const;
    const elsewhere = network.addApp({ placement });
    await expect(client().call(elsewhere.app)).rejects.toMatchObject({ code: 'CALL_NO_WORKER' });
    const newer = network.addApp({
      placement: { ...placement, teeTypes: ['tdx'], minTcbEvaluationDataNumber: 10_000 },
    });
    await expect(client().call(newer.app)).rejects.toMatchObject({ code: 'CALL_NO_WORKER' });
  });

  test('every one in its turn', async () => {
    await network.addWorker(address(0x0c));
    const one = client();
    for (let call = 0; call < 24; call++) await one.call(app);
    expect(new Set(network.gateway.calls.map(({ workerId }) => workerId)).size).toBe(2);
  });
});

describe('what is remembered', () => {
  test("a verification for two minutes, an app for half a minute, by this machine's clock", async () => {
    const one = client();
    const reads = (name: string) => network.rpc.asks(name);
    await one.call(app);
    const asked = reads('eth_call');
    await one.call(app);
    expect(reads('eth_call')).toBe(asked);
    vi.useFakeTimers({ now: Date.now() + 31_000, toFake: ['Date'] });
    await one.call(app);
    expect(reads('eth_call')).toBe(asked + 1);
    vi.setSystemTime(Date.now() + 121_000);
    await one.call(app);
    expect(reads('eth_call')).toBeGreaterThan(asked + 3);
  });

  test('a key no longer than it is valid', async () => {
    announce({ keyConfigs: [await worker.newKey({ notAfter: network.rpc.head.timestamp + 60n })] });
    const one = client();
    await one.call(app);
    vi.useFakeTimers({ now: Date.now() + 61_000, toFake: ['Date'] });
    network.rpc.mine();
    await expect(one.call(app)).rejects.toMatchObject({ code: 'CALL_NO_WORKER' });
  });
});

test('a page without WebCrypto gets no client', () => {
  const { getRandomValues } = crypto;
  vi.stubGlobal('crypto', { getRandomValues });
  try {
    expect(() => client()).toThrow(expect.objectContaining({ code: 'CLIENT_NO_WEBCRYPTO', hint: expect.any(String) }));
  } finally {
    vi.unstubAllGlobals();
  }
});

describe('apps', () => {
  test('a call may insist on a manifest', async () => {
    const { app: other, manifest } = network.addApp({ name: 'other' });
    await expect(client().call(other, {}, { manifest: bytes32(1) })).rejects.toMatchObject({
      code: 'CLIENT_OTHER_MANIFEST',
    });
    const serving = await client().app(other);
    expect(serving).toMatchObject({ app: other, version: 1, manifest });
    expect((await client().call(other, {}, { manifest: serving.manifestId })).ok).toBe(true);
  });

  test('one that the chain does not know', async () => {
    await expect(client().call(toHex(new Uint8Array(32)))).rejects.toMatchObject({ code: 'REGISTRY_APP_UNKNOWN' });
  });

  test('a manifest that says something else than the contract enforces is refused', async () => {
    const found = network.registries.apps.get(app) ?? expect.fail();
    for (const [field, value] of [
      ['replicas', 3],
      ['upgradeNoticeSeconds', 1],
      ['kind', 1],
      ['imagePolicy', 1],
      ['stateful', true],
      ['vetoer', address(0x0e)],
    ] as const) {
      const [version] = found.versions;
      if (version === undefined) expect.fail();
      network.registries.apps.set(app, {
        ...found,
        versions: [{ ...version, fields: { ...version.fields, [field]: value } }],
      });
      await expect(client().app(app)).rejects.toMatchObject({ code: 'APP_FIELDS_DIFFER', meta: { field } });
    }
    await expect(client().call(app)).rejects.toMatchObject({ code: 'APP_FIELDS_DIFFER' });
    expect(network.gateway.calls).toEqual([]);
  });

  test('a manifest that nobody has, or only under a wrong hash, is not made up', async () => {
    const { manifestId } = await client().app(app);
    network.gateway.blobs.set(manifestId, utf8('{"format":"cloister-manifest-1"}'));
    await expect(client().app(app)).rejects.toMatchObject({ code: 'BLOB_UNAVAILABLE' });
    network.gateway.blobs.delete(manifestId);
    await expect(client().app(app)).rejects.toMatchObject({ code: 'BLOB_UNAVAILABLE' });
  });

  test('those of an account are listed, also where a manifest is gone', async () => {
    const { app: second } = network.addApp({ name: 'second' });
    network.gateway.blobs.delete((await client().app(second)).manifestId);
    const { encodeEventTopics } = await import('viem');
    const { appRegistryAbi } = await import('@cloister/chain');
    const log = (id: `0x${string}`) => ({
      address: network.file.contracts.appRegistry,
      topics: encodeEventTopics({
        abi: appRegistryAbi,
        eventName: 'AppCreated',
        args: { app: id, owner: address(0x0b) },
      }),
      data: `0x${'00'.repeat(32)}`,
      blockNumber: '0x1',
      blockHash: bytes32(1),
      transactionHash: bytes32(2),
      transactionIndex: '0x0',
      logIndex: '0x0',
      removed: false,
    });
    network.rpc.intercept = (method) => (method === 'eth_getLogs' ? [log(app), log(second)] : undefined);
    const listed = await client().apps(address(0x0b));
    expect(listed.map(({ app: id, name, version }) => [id, name, version])).toEqual([
      [app, 'sample', 1],
      [second, null, 1],
    ]);
  });
});

describe('an app with secrets', () => {
  let second: StubWorker;
  let sealed: `0x${string}`;
  beforeEach(async () => {
    second = await network.addWorker(address(0x0d));
    const placement = { replicas: 1, teeTypes: ['tdx'], minTcbEvaluationDataNumber: 0, distinct: [] } as const;
    sealed = network.addApp({ secrets: ['KEY'], imagePolicy: 'both', placement }).app;
    const [version] = network.registries.apps.get(sealed)?.versions ?? [];
    Object.assign(version ?? {}, { effectiveAt: network.rpc.blocks[0]?.timestamp });
  });
  const byId = (id: string | undefined) => [worker, second].find(({ workerId }) => workerId === id) ?? expect.fail();

  test('is called at its hosts alone, and at the next in line once one is evicted', async () => {
    const asked = client();
    const { hosts, seed } = await asked.placement(sealed);
    expect(seed).toBe(network.rpc.blocks[1]?.hash);
    expect(hosts).toHaveLength(1);
    const host = byId(hosts[0]);
    for (let call = 0; call < 5; call++) await asked.call(sealed);
    expect([host.runs, worker.runs + second.runs]).toEqual([5, 5]);
    Object.assign(network.registries.workers.get(host.workerId) ?? {}, { state: 'evicted' });
    network.rpc.mine();
    network.rpc.logs.push(network.registries.evictionLog(host.workerId, network.rpc.head.number));
    const other = host === worker ? second : worker;
    expect((await client().call(sealed)).worker.workerId).toBe(other.workerId);
  });

  test('is asked for elsewhere where its host says, signed, that it is none any more', async () => {
    const asked = client();
    const host = byId((await asked.placement(sealed)).hosts[0]);
    host.run = () => ({ outcome: 'refused', status: 422, manifest: zeroBytes32, code: 'APP_NOT_PLACED' });
    const before = network.rpc.asks('eth_getLogs');
    const refused = await asked.call(sealed);
    expect([refused.outcome, host.runs]).toEqual(['refused', 2]);
    expect(network.rpc.asks('eth_getLogs')).toBeGreaterThanOrEqual(before);
  });

  test('has no hosts in the block of its deployment: the client waits for its draw', async () => {
    const [version] = network.registries.apps.get(sealed)?.versions ?? [];
    Object.assign(version ?? {}, { effectiveAt: network.rpc.head.timestamp + 1n });
    network.rpc.mine(network.rpc.head.timestamp + 1n);
    for (const log of network.rpc.logs) Object.assign(log, { blockNumber: 0n });
    const asked = client();
    await expect(asked.placement(sealed)).rejects.toMatchObject({ code: 'PLACEMENT_PENDING' });
    const blocks = network.rpc.asks('eth_getBlockByNumber');
    const called = asked.call(sealed);
    await vi.waitFor(() => expect(network.rpc.asks('eth_getBlockByNumber')).toBeGreaterThan(blocks));
    network.rpc.mine(network.rpc.head.timestamp);
    expect((await called).outcome).toBe('ok');
  });
});

describe('a call for one worker', () => {
  test('goes to that one alone, and verifies no other', async () => {
    const other = await network.addWorker(address(0x0c));
    worker.announcement = { ...worker.announcement, evidence: '0x' as never };
    const one = client();
    for (let call = 0; call < 4; call++) {
      const result = await one.call(app, {}, { worker: other.workerId });
      expect(result.worker.workerId).toBe(other.workerId);
    }
    expect(worker.runs).toBe(0);
  });

  test('goes nowhere where no gateway has it, or it can’t be verified', async () => {
    const noWorker = { code: 'CALL_NO_WORKER' };
    await expect(client().call(app, {}, { worker: bytes32(0x99) })).rejects.toMatchObject(noWorker);
    Object.assign(network.registries.workers.get(worker.workerId) ?? {}, { state: 'evicted' });
    await expect(client().call(app, {}, { worker: worker.workerId })).rejects.toMatchObject({
      ...noWorker,
      message: expect.stringContaining('has not evicted it'),
    });
  });

  test('is asked of the second gateway where the first shows another worker in its place', async () => {
    const other = await network.addWorker(address(0x0c));
    const second = 'http://127.0.0.1:2';
    const fetch: typeof globalThis.fetch = (input, init) => {
      const { origin, pathname } = new URL(new Request(input, init).url);
      if (origin === second) return network.gateway.fetch(`${network.gateway.url}${pathname}`, init);
      const swapped = pathname.replace(worker.workerId, other.workerId);
      return network.gateway.fetch(pathname.endsWith('/call') ? input : `${origin}${swapped}`, init);
    };
    const result = await client({ gateways: [network.gateway.url, second], fetch }).call(
      app,
      {},
      { worker: worker.workerId },
    );
    expect([result.worker.workerId, result.gateway]).toEqual([worker.workerId, second]);
  });
});
