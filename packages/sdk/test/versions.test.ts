import { type Bytes32, manifestBytes, manifestId, parseManifest, weightsListBytes } from '@cloister/core';
import { SecretBytes, sha256, toHex, utf8 } from '@cloister/crypto';
import { createClient, type DeployOptions, type VersionErrorCode } from '@cloister/sdk';
import { publicOf } from '@cloister/threshold/native';
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { bytes32, SimulatedNetwork } from './simulatedNetwork.ts';

const publicKey = toHex(publicOf(new SecretBytes(new Uint8Array(32).fill(5))));
const account = generatePrivateKey();
const owner = privateKeyToAccount(account).address.toLowerCase();
const source = (text: string) => utf8(`export default { fetch: () => new Response("${text}") }`);

let network: SimulatedNetwork;
beforeEach(async () => {
  network = await SimulatedNetwork.start({ networkKeys: { apps: publicKey, beacon: publicKey } });
});
afterEach(() => network.stop());

const client = () => createClient({ network: network.file, fetch: network.gateway.fetch });
const deploy = (text: string, changes: Partial<DeployOptions> = {}) =>
  client().deploy({ account, code: source(text), name: 'sample', ...changes });
const versions = () => client().versions;
const sent = () => network.rpc.asks('eth_sendRawTransaction');
const publishedOf = (app: Bytes32) => network.registries.apps.get(app)?.versions ?? [];

/** Fails with that code, and nothing is sent or stored. */
async function refuses(code: VersionErrorCode | (string & {}), work: () => Promise<unknown>): Promise<unknown> {
  const [before, blobs] = [sent(), network.gateway.blobs.size];
  const error = await work().then(
    () => expect.fail('it was done'),
    (thrown: unknown) => thrown,
  );
  expect(error).toMatchObject({ code });
  expect([sent(), network.gateway.blobs.size]).toEqual([before, blobs]);
  return error;
}

describe('list', () => {
  test('says of each version what serves, since when, and what its manifest names; newest first', async () => {
    const first = await deploy('one');
    const second = await deploy('two');
    const { owner: by, count, versions: listed } = await versions().list(first.app, 20);
    expect([by, count]).toEqual([owner, 2]);
    expect(listed).toMatchObject([
      { version: 2, state: 'serving', manifestId: second.manifestId, manifest: second.manifest },
      { version: 1, state: 'superseded', manifestId: first.manifestId, manifest: first.manifest },
    ]);
    expect((await versions().list(first.app, 1)).versions.map(({ version }) => version)).toEqual([2]);
  });

  test('says null of a manifest that no gateway has, or that is another', async () => {
    const { app, manifestId: id } = await deploy('one');
    network.gateway.blobs.set(id, utf8('{}'));
    expect((await versions().list(app, 20)).versions).toMatchObject([{ manifest: null }]);
  });

  test('of an app that does not exist', async () => {
    await refuses('REGISTRY_APP_UNKNOWN', () => versions().list(bytes32(9), 20));
  });
});

describe('rollback', () => {
  test('publishes the manifest before as the next version, and back again', async () => {
    const first = await deploy('one');
    const second = await deploy('two');
    const back = await versions().rollback(first.app, { account });
    expect(back).toMatchObject({ restored: 1, withdrawn: null, version: 3, published: true });
    expect(back.manifestId).toBe(first.manifestId);
    expect(publishedOf(first.app).map(({ manifestId: id }) => id)).toEqual([
      first.manifestId,
      second.manifestId,
      first.manifestId,
    ]);
    expect(await versions().rollback(first.app, { account })).toMatchObject({ restored: 2, version: 4 });
  });

  test('to a version by its number; nothing is sent where that serves already', async () => {
    const first = await deploy('one');
    await deploy('two');
    await deploy('three');
    expect(await versions().rollback(first.app, { account, version: 1 })).toMatchObject({ restored: 1, version: 4 });
    const before = sent();
    expect(await versions().rollback(first.app, { account, version: 1 })).toMatchObject({
      version: 4,
      published: false,
    });
    expect(sent()).toBe(before);
  });

  test('keeps the key versions of now and the secrets that are set', async () => {
    const secrets = { TOKEN: 'abc' };
    const first = await deploy('one', { secrets, pinImages: [bytes32(7)] });
    await deploy('two', { secrets, pinImages: [bytes32(7)] });
    const bundle = network.registries.secrets.get(first.app);
    Object.assign(publishedOf(first.app)[1]?.fields ?? {}, { keyVersion: 4, minKeyVersion: 3 });
    await versions().rollback(first.app, { account });
    expect(publishedOf(first.app)[2]?.fields).toMatchObject({ keyVersion: 4, minKeyVersion: 3, imagePolicy: 2 });
    expect(network.registries.secrets.get(first.app)).toEqual(bundle);
  });

  test('brings code back to a gateway that has lost it, where another has it', async () => {
    const first = await deploy('one');
    await deploy('two');
    const { fetch } = network.gateway;
    const id = first.manifest.code.sha256;
    const code = network.gateway.blobs.get(id) as Uint8Array;
    network.gateway.blobs.delete(id);
    const other = 'http://other.example';
    const twoGateways = createClient({
      network: network.file,
      gateways: [network.gateway.url, other],
      fetch: async (input, init) => {
        const request = new Request(input, init);
        if (!request.url.startsWith(other)) return fetch(input, init);
        const isIt = request.method === 'GET' && request.url.endsWith(id);
        return isIt ? new Response(Uint8Array.from(code)) : new Response(null, { status: 404 });
      },
    });
    await twoGateways.versions.rollback(first.app, { account });
    expect(network.gateway.blobs.get(id)).toEqual(code);
  });

  test('takes back a version that is pending instead, and refuses to publish beside it', async () => {
    const first = await deploy('one', { manifest: { upgrade: { noticeSeconds: 3_600, vetoer: null } } });
    const second = await deploy('two');
    expect((await versions().list(first.app, 20)).versions.map(({ state }) => state)).toEqual(['pending', 'serving']);
    const error = await refuses('VERSION_PENDING', () => versions().scale(first.app, 3, { account }));
    expect((error as Error).message).toContain(new Date(Number(second.effectiveAt) * 1000).toISOString());
    expect(await versions().rollback(first.app, { account })).toMatchObject({
      restored: 1,
      withdrawn: 2,
      version: 1,
      published: false,
    });
    await refuses('VERSION_NEVER_SERVED', () => versions().rollback(first.app, { account, version: 2 }));
    await refuses('VERSION_NONE_EARLIER', () => versions().rollback(first.app, { account }));
  });

  test('somebody else', async () => {
    const { app } = await deploy('one');
    await deploy('two');
    const stranger = { account: generatePrivateKey() };
    await refuses('APP_NOT_YOURS', () => versions().rollback(app, stranger));
    await refuses('APP_NOT_YOURS', () => versions().scale(app, 3, stranger));
  });

  test.each([
    ['the only version', 1, undefined, 'VERSION_NONE_EARLIER'],
    ['a version that never was', 2, 9, 'VERSION_UNKNOWN'],
    ['version zero', 2, 0, 'VERSION_UNKNOWN'],
  ] as const)('%s', async (_, count, version, code) => {
    const { app } = await deploy('one');
    if (count === 2) await deploy('two');
    await refuses(code, () => versions().rollback(app, { account, ...(version !== undefined && { version }) }));
  });

  test('manifest or code that no gateway has any more, by their ids', async () => {
    const first = await deploy('one');
    await deploy('two');
    const { sha256: codeId } = first.manifest.code;
    network.gateway.blobs.delete(codeId);
    const noCode = await refuses('VERSION_BLOBS_GONE', () => versions().rollback(first.app, { account }));
    expect(noCode).toMatchObject({ meta: { gone: [codeId] }, message: expect.stringContaining(codeId) });
    network.gateway.blobs.delete(first.manifestId);
    const noManifest = await refuses('VERSION_BLOBS_GONE', () => versions().rollback(first.app, { account }));
    expect(noManifest).toMatchObject({ meta: { gone: [first.manifestId] } });
  });

  test('code sealed to keys that are over', async () => {
    const first = await deploy('one', { sealCode: true, pinImages: [bytes32(7)] });
    await deploy('two', { sealCode: true, pinImages: [bytes32(7)] });
    Object.assign(publishedOf(first.app)[1]?.fields ?? {}, { keyVersion: 2, minKeyVersion: 2 });
    await refuses('VERSION_KEYS_OVER', () => versions().rollback(first.app, { account }));
    Object.assign(publishedOf(first.app)[1]?.fields ?? {}, { keyVersion: 2, minKeyVersion: 1 });
    expect(await versions().rollback(first.app, { account })).toMatchObject({ version: 3 });
  });

  test('secrets that are no longer set, by their names', async () => {
    const first = await deploy('one', { secrets: { OLD: 'a', BOTH: 'b' }, pinImages: [bytes32(7)] });
    await deploy('two', { secrets: { BOTH: 'b' }, pinImages: [bytes32(7)] });
    const error = await refuses('VERSION_SECRETS_MISSING', () => versions().rollback(first.app, { account }));
    expect(error).toMatchObject({ meta: { missing: ['OLD'] } });
    await client().setSecrets(first.app, { account, values: { OLD: 'a', BOTH: 'b' } });
    expect(await versions().rollback(first.app, { account })).toMatchObject({ version: 3 });
  });

  test('a model whose weights are gone in part', async () => {
    const chunks = [utf8('a'.repeat(1_024)), utf8('b')];
    const ids = chunks.map((chunk) => toHex(sha256(chunk)));
    const list = weightsListBytes({
      format: 'cloister-weights-1',
      sha256: bytes32(1),
      bytes: 1_025,
      chunkBytes: 1_024,
      chunks: ids,
    });
    for (const [index, chunk] of chunks.entries()) network.gateway.blobs.set(ids[index] as Bytes32, chunk);
    const first = await client().deploy({ account, kind: 'model', code: list, name: 'tiny' });
    await client().deploy({ account, kind: 'model', code: list, name: 'tiny', manifest: { limits: { wallMs: 500 } } });
    network.gateway.blobs.delete(ids[1] as Bytes32);
    const error = await refuses('VERSION_BLOBS_GONE', () => versions().rollback(first.app, { account }));
    expect(error).toMatchObject({ meta: { gone: [ids[1]] } });
  });
});

describe('scale', () => {
  test('publishes what serves with another number, and nothing else changed', async () => {
    const first = await deploy('one');
    const scaled = await versions().scale(first.app, 5, { account });
    expect(scaled).toMatchObject({ replicas: 5, before: 2, placed: false, version: 2, published: true });
    const stored = parseManifest(network.gateway.blobs.get(scaled.manifestId) as Uint8Array);
    expect(stored).toEqual({ ...first.manifest, placement: { ...first.manifest.placement, replicas: 5 } });
    expect(manifestId(stored)).toBe(scaled.manifestId);
    expect(manifestBytes(stored)).toEqual(network.gateway.blobs.get(scaled.manifestId));
    expect(publishedOf(first.app)[1]?.fields.replicas).toBe(5);
  });

  test('says whether the number places it, and sends nothing for the number of now', async () => {
    const { app } = await deploy('one', { secrets: { A: 'b' }, pinImages: [bytes32(7)] });
    expect(await versions().scale(app, 3, { account })).toMatchObject({ placed: true });
    const before = sent();
    expect(await versions().scale(app, 3, { account })).toMatchObject({ version: 2, published: false });
    expect(sent()).toBe(before);
  });

  test.each([0, 65, 1.5, Number.NaN])('%s replicas', async (replicas) => {
    const { app } = await deploy('one');
    await refuses('SCHEMA_MISMATCH', () => versions().scale(app, replicas, { account }));
  });
});
