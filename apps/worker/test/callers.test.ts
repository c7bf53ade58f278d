import {
  type AppCall,
  appCallDigest,
  type Bytes32,
  CloisterError,
  functionManifest,
  type Manifest,
  manifestId,
  maxAppCallSeconds,
  type SignedAppCall,
  signedAppCallText,
  zeroBytes32,
} from '@cloister/core';
import { fromHex, generateSecp256k1, type SecretBytes, signDigest, toHex, utf8 } from '@cloister/crypto';
import { type CallerWitness, type CallOptions, createClient } from '@cloister/sdk';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { address, bytes32, SimulatedNetwork, type StubWorker } from '../../../packages/sdk/test/simulatedNetwork.ts';
import { AppCalls } from '../src/appCalls.ts';
import { Callers, type VerifiedCaller } from '../src/callers.ts';

const signal = new AbortController().signal;
const request = { method: 'POST', path: '/ask?x=1', headers: [['x-mine', 'a, b']], body: utf8('question') } as const;

let network: SimulatedNetwork;
/** The worker that the caller runs on, and the one that is called. */
let calling: StubWorker;
let called: StubWorker;
let caller: { app: Bytes32; manifest: Manifest };
let callee: Bytes32;
let hosts: Bytes32[];
let found: (VerifiedCaller | undefined)[];
/** Between sealing and opening. */
let meanwhile: () => void;

beforeEach(async () => {
  network = await SimulatedNetwork.start();
  calling = await network.addWorker();
  called = await network.addWorker(address(0x0c));
  caller = network.addApp({ name: 'caller' });
  callee = network.addApp({ name: 'callee' }).app;
  hosts = [];
  found = [];
  meanwhile = () => {};
  const callers = new Callers({
    domain: network.domain,
    receiver: called.receiptSigner,
    registry: network.reader(),
    placement: { placementOf: async () => ({ hosts }) as never },
    blobs: async (id) => network.gateway.blobs.get(id) ?? Promise.reject(new Error('no such blob')),
  });
  called.run = async (opened) => {
    meanwhile();
    try {
      found.push(await callers.verify(opened, signal));
      return { body: [utf8('answer')] };
    } catch (error) {
      if (!(error instanceof CloisterError)) throw error;
      return { status: 403, outcome: 'refused', manifest: zeroBytes32, code: error.code };
    }
  };
});
afterEach(() => network.stop());

const client = () => createClient({ network: network.file, fetch: network.gateway.fetch });
const options = () => ({ worker: called.workerId, signal });
const asCaller = (by: SecretBytes = calling.signer) =>
  new AppCalls({ client: client(), sign: (digest) => signDigest(by, digest) });
const callerOf = ({ app, manifest }: typeof caller) => ({ app, manifestId: manifestId(manifest) });

/** A statement that is good but for the changes, signed by the calling worker or another; then changed again unsigned. */
function witness(
  changes: Partial<AppCall> = {},
  after: Partial<SignedAppCall> = {},
  by = calling.signer,
): CallerWitness {
  return async (about) => {
    const { app, manifestId: id } = callerOf(caller);
    const notAfter = network.rpc.head.timestamp + 100n;
    const statement = { caller: app, callerManifest: id, ...about, notAfter, ...changes };
    const signature = toHex(signDigest(by, fromHex(appCallDigest(network.domain, statement))));
    return signedAppCallText({ ...statement, signature, ...after });
  };
}

async function refused(code: string, vouched: CallerWitness, more: Partial<CallOptions> = {}, asked: object = request) {
  const { outcome, receipt } = await client().call(callee, asked, { ...options(), caller: vouched, ...more });
  expect([outcome, receipt.details.code]).toEqual(['refused', code]);
  expect(found).toEqual([]);
}

describe('a call from an app', () => {
  test('is known to come from it, by a worker that is registered and accepted', async () => {
    const answer = await asCaller().call(callerOf(caller), callee, request, options());
    expect(answer).toMatchObject({ ok: true, status: 200 });
    const { app, manifestId: manifest } = callerOf(caller);
    expect(found).toEqual([{ app, manifest, workerId: calling.workerId }]);
  });

  test('of a client is from nobody', async () => {
    await client().call(callee, request, options());
    expect(found).toEqual([undefined]);
  });

  test('by a good statement made by hand is the same as by the library', async () => {
    await client().call(callee, request, { ...options(), caller: witness() });
    expect(found).toMatchObject([{ app: caller.app }]);
  });

  test('of an app with keys comes from its hosts alone', async () => {
    const sealed = { digest: bytes32(1), keyVersion: 1 };
    const code = { sha256: bytes32(2), bytes: 5_000, sealed };
    caller = network.addApp({ name: 'keyed', code, imagePolicy: 'network' });
    hosts = [called.workerId];
    await refused('CALLER_NOT_PLACED', witness());
    hosts = [called.workerId, calling.workerId];
    await client().call(callee, request, { ...options(), caller: witness() });
    expect(found).toMatchObject([{ app: caller.app, workerId: calling.workerId }]);
  });

  test('whose owner chooses its images comes from these alone', async () => {
    const code = { sha256: bytes32(2), bytes: 5_000, sealed: { digest: bytes32(1), keyVersion: 1 } };
    caller = network.addApp({ name: 'keyed', code });
    hosts = [calling.workerId];
    await refused('CALLER_NOT_ACCEPTED', witness());
    const { imageId } = await network.reader().workerRecord(calling.workerId);
    network.registries.pinned.add(`${caller.app} ${imageId}`);
    await client().call(callee, request, { ...options(), caller: witness() });
    expect(found).toMatchObject([{ app: caller.app }]);
  });
});

describe('a statement of who calls', () => {
  test.each<[string, string, Partial<AppCall>]>([
    ['another called app', 'CALLER_OTHER_CALLEE', { callee: bytes32(9) }],
    ['another worker, or this one before it started anew', 'CALLER_OTHER_CALLEE', { receiver: address(9) }],
    ['another call', 'CALLER_OTHER_CALL', { call: bytes32(9) }],
    ['another request', 'CALLER_OTHER_CALL', { request: bytes32(9) }],
    ['an app that is none', 'CALLER_UNKNOWN', { caller: bytes32(9) }],
    ['a version that does not serve', 'CALLER_OTHER_MANIFEST', { callerManifest: bytes32(9) }],
    ['a time that is over', 'CALLER_STATEMENT_STALE', { notAfter: 1n }],
  ])('about %s is refused', async (_, code, changes) => {
    await refused(code, witness(changes));
    // Changed after it was signed, it fares no better.
    const unsigned: CallerWitness = witness({}, changes);
    const { outcome } = await client().call(callee, request, { ...options(), caller: unsigned });
    expect([outcome, found]).toEqual(['refused', []]);
  });

  test('that holds for longer than it may is refused', async () => {
    const ahead = (seconds: bigint) => witness({ notAfter: network.rpc.head.timestamp + seconds });
    await refused('CALLER_STATEMENT_STALE', ahead(maxAppCallSeconds + 60n));
  });

  test('is good once: not for a second call, of this app or of another', async () => {
    let kept = '';
    const good = witness();
    const keeping: CallerWitness = async (about) => {
      kept = await good(about);
      return kept;
    };
    await client().call(callee, request, { ...options(), caller: keeping });
    expect(found.splice(0)).toHaveLength(1);
    await refused('CALLER_OTHER_CALL', async () => kept);
    callee = network.addApp({ name: 'callee-too' }).app;
    await refused('CALLER_OTHER_CALLEE', async () => kept);
  });

  test('covers method, path, headers and body', async () => {
    for (const change of [
      { method: 'PUT' },
      { path: '/ask?x=2' },
      {
        headers: [
          ['x-mine', 'a'],
          ['x-mine', 'b'],
        ],
      },
      { headers: [] },
      { body: utf8('Question') },
    ]) {
      let about: Parameters<CallerWitness>[0] | undefined;
      const good = witness();
      const noting: CallerWitness = (given) => {
        about = given;
        return good(given);
      };
      await client().call(callee, request, { ...options(), caller: noting });
      found = [];
      const hash = about?.request ?? expect.fail();
      await refused('CALLER_OTHER_CALL', witness({ request: hash }), {}, { ...request, ...change });
    }
  });

  test('by anybody but a registered worker is refused', async () => {
    await refused('CALLER_NOT_REGISTERED', witness({}, {}, generateSecp256k1()));
    await refused('CALLER_SIGNATURE_INVALID', witness({}, { signature: `0x${'00'.repeat(65)}` }));
  });

  test('by an evicted worker, or one whose lease is over, is refused', async () => {
    const entry = network.registries.workers.get(calling.workerId) ?? expect.fail();
    meanwhile = () => Object.assign(entry, { state: 'evicted' });
    await refused('CALLER_NOT_REGISTERED', witness());
    Object.assign(entry, { state: 'active' });
    meanwhile = () => Object.assign(entry, { leaseUntil: 1n });
    await refused('CALLER_NOT_REGISTERED', witness());
  });

  test.each<[string, () => void]>([
    ['image', () => network.registries.images.clear()],
    ['network file', () => network.registries.configs.clear()],
    ['machine', () => network.registries.blockedPlatforms.add(calling.platformId)],
    ['TCB', () => Object.assign(network.registries.recheck, { status: 4 })],
  ])('by a worker whose %s is no longer accepted is refused', async (_, change) => {
    meanwhile = change;
    await refused('CALLER_NOT_ACCEPTED', witness());
  });

  test.each<[string, Partial<Manifest['placement']>]>([
    ['TEE', { teeTypes: ['sgx'] }],
    ['TCB', { minTcbEvaluationDataNumber: 19 }],
  ])('by a worker whose %s the caller does not want is refused', async (_, changes) => {
    const { placement } = functionManifest({ name: 'x', code: { sha256: bytes32(1), bytes: 1 } });
    caller = network.addApp({ name: 'choosy', placement: { ...placement, ...changes } });
    await refused('CALLER_NOT_ACCEPTED', witness());
  });

  test('of an app whose manifest is none, or says other than the chain, is refused', async () => {
    const [version] = network.registries.apps.get(caller.app)?.versions ?? [];
    const good = { ...version?.fields };
    Object.assign(version?.fields ?? {}, { replicas: 7 });
    await refused('CALLER_OTHER_MANIFEST', witness());
    Object.assign(version?.fields ?? {}, good);
    const none = network.gateway.store(utf8('{}'));
    Object.assign(version ?? {}, { manifestId: none });
    await refused('CALLER_OTHER_MANIFEST', witness({ callerManifest: none }));
  });

  test('beside a header that is the worker’s to set is refused', async () => {
    const asked = { ...request, headers: [['Cloister-Caller-App', bytes32(9)]] };
    await refused('CALLER_HEADER_FORGED', witness(), {}, asked);
  });

  test.each<[string, (good: string) => string]>([
    ['nothing like one', () => 'x'],
    ['an empty object', () => '{}'],
    ['a list', () => '[]'],
    ['cut', (good) => good.slice(0, -1)],
    ['followed by more', (good) => `${good}}`],
    ['with an unknown field', (good) => good.replace('{', '{"a":1,')],
    [
      'in another order',
      (good) => `{"signature"${good.split('"signature"')[1]?.slice(0, -1)},${good.slice(1).split(',"signature"')[0]}}`,
    ],
    [
      'with capitals',
      (good) => good.replace(/"caller":"0x([0-9a-f]+)"/, (_, hex) => `"caller":"0x${hex.toUpperCase()}"`),
    ],
    ['with a negative time', (good) => good.replace(/"notAfter":"/, '"notAfter":"-')],
    ['with a time beyond 64 bits', (good) => good.replace(/"notAfter":"\d+"/, `"notAfter":"${2n ** 64n}"`)],
    ['of a shorter signature', (good) => good.replace(/"signature":"0x../, '"signature":"0x')],
  ])('that is %s is refused', async (_, change) => {
    const good = witness();
    await refused('CALLER_STATEMENT_MALFORMED', async (about) => change(await good(about)));
  });

  test('too long for a header is not even sent', async () => {
    const long = client().call(callee, request, { ...options(), caller: async () => 'x'.repeat(2_049) });
    await expect(long).rejects.toMatchObject({ code: 'CALL_HEADER_REFUSED' });
    expect(called.runs).toBe(0);
  });
});
