import { appId, enforcedFields, freePrice, type Manifest, manifestId, parseManifest } from '@cloister/core';
import { sha256, toHex, utf8 } from '@cloister/crypto';
import { appSalt, createClient, type DeployOptions } from '@cloister/sdk';
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SimulatedNetwork } from './simulatedNetwork.ts';

let network: SimulatedNetwork;
beforeEach(async () => {
  network = await SimulatedNetwork.start();
});
afterEach(() => network.stop());

const key = generatePrivateKey();
const owner = privateKeyToAccount(key).address.toLowerCase() as `0x${string}`;
const code = utf8('export default { fetch: () => new Response("hi") }');
const client = () => createClient({ network: network.file, fetch: network.gateway.fetch });
const deploy = (changes: Partial<DeployOptions> = {}) =>
  client().deploy({ account: key, code, name: 'sample', ...changes });
const sent = () => network.rpc.asks('eth_sendRawTransaction');

describe('deploy', () => {
  test('stores code and manifest, and creates the app', async () => {
    const deployed = await deploy();
    expect(deployed).toMatchObject({ app: appId(owner, appSalt('sample')), owner, version: 1, published: true });
    expect(deployed.effectiveAt).toBeGreaterThan(0n);
    expect(network.gateway.blobs.get(toHex(sha256(code)))).toEqual(code);
    const stored = network.gateway.blobs.get(deployed.manifestId) ?? expect.fail();
    expect(parseManifest(stored)).toEqual(deployed.manifest);
    expect(deployed.manifest.code).toEqual({ sha256: toHex(sha256(code)), bytes: code.length });
    const created = network.registries.apps.get(deployed.app);
    expect(created?.versions[0]).toMatchObject({
      manifestId: deployed.manifestId,
      fields: enforcedFields(deployed.manifest),
    });
    expect(sent()).toBe(1);
  });

  test('the same again publishes nothing', async () => {
    const first = await deploy();
    const again = await deploy();
    expect(again).toEqual({ ...first, published: false });
    expect(sent()).toBe(1);
  });

  test('something else under the same name is a new version, with the key versions of the chain', async () => {
    const first = await deploy();
    const [version] = network.registries.apps.get(first.app)?.versions ?? [];
    Object.assign(version?.fields ?? {}, { keyVersion: 4, minKeyVersion: 3 });
    const second = await deploy({ manifest: { env: { GREETING: 'hello' }, limits: { wallMs: 500 } } });
    expect(second).toMatchObject({ app: first.app, version: 2, published: true });
    expect(second.manifestId).not.toBe(first.manifestId);
    expect(second.manifest).toMatchObject({ env: { GREETING: 'hello' }, limits: { wallMs: 500, maxConcurrent: 16 } });
    expect(network.registries.apps.get(first.app)?.versions[1]?.fields).toEqual(enforcedFields(second.manifest, 4, 3));
    expect(manifestId(second.manifest)).toBe(second.manifestId);
  });

  test('another name, or another account, is another app', async () => {
    const ids = [
      await deploy(),
      await deploy({ name: 'other' }),
      await client().deploy({ account: privateKeyToAccount(generatePrivateKey()), code, name: 'sample' }),
    ].map(({ app }) => app);
    expect(new Set(ids).size).toBe(3);
  });

  test('name and code in the fields do not win over what is deployed', async () => {
    const { manifest } = await deploy({ manifest: { name: 'evil', code: { bytes: 1 } } as object });
    expect(manifest).toMatchObject({ name: 'sample', code: { bytes: code.length } });
  });

  test.each<[string, Partial<Manifest>]>([
    ['schedules of an app with a price', { schedules: [{ cron: '* * * * *' }], price: { ...freePrice, perCall: '1' } }],
    ['redundancy', { redundancy: { k: 2, n: 3, compare: 'exact' } }],
    ['determinism', { determinism: 'deterministic' }],
    ['imagePolicy "pinned" without secrets', { imagePolicy: 'pinned' }],
    ['runtime "other"', { runtime: { name: 'other', compatibilityDate: '2026-11-01' } }],
  ])('what no worker can honour yet is refused before anything is stored or sent: %s', async (feature, manifest) => {
    await expect(deploy({ manifest })).rejects.toMatchObject({
      code: 'DEPLOY_FEATURE_UNAVAILABLE',
      message: expect.stringContaining(feature),
    });
    expect(network.gateway.blobs.size).toBe(0);
    expect(network.rpc.asked).toEqual([]);
  });

  test.each<[string, Partial<DeployOptions>]>([
    ['a name that is none', { name: 'Not A Name' }],
    ['absurd limits', { manifest: { limits: { memoryBytes: 1 } } }],
    ['no code', { code: new Uint8Array() }],
    ['an unknown field', { manifest: { more: 1 } as object }],
  ])('a manifest with %s is refused before anything is stored or sent', async (_, changes) => {
    await expect(deploy(changes)).rejects.toMatchObject({ code: 'SCHEMA_MISMATCH' });
    expect(network.gateway.blobs.size).toBe(0);
    expect(network.rpc.asked).toEqual([]);
  });

  test.each([
    ['code', true],
    ['manifest', false],
  ])('nothing is published whose %s no gateway stores', async (_, isCode) => {
    network.gateway.refuses = (bytes) => Buffer.from(bytes).equals(Buffer.from(code)) === isCode;
    await expect(deploy()).rejects.toMatchObject({ code: 'GATEWAY_STORE_FAILED' });
    expect(sent()).toBe(0);
  });

  test('a version under notice does not serve yet', async () => {
    const notice = { upgrade: { noticeSeconds: 3_600, vetoer: null } };
    await deploy({ manifest: notice });
    const later = await deploy({ manifest: { ...notice, env: { A: 'b' } } });
    expect(later.version).toBe(2);
    expect(later.effectiveAt).toBeGreaterThan(network.rpc.head.timestamp + 3_000n);
    expect((await client().app(later.app)).version).toBe(1);
  });

  test('a call after it is to the new version, not to a remembered one', async () => {
    await network.addWorker();
    const one = client();
    const first = await one.deploy({ account: key, code, name: 'sample' });
    expect((await one.call(first.app)).app.manifestId).toBe(first.manifestId);
    const second = await one.deploy({ account: key, code, name: 'sample', manifest: { env: { A: 'b' } } });
    expect((await one.call(first.app)).receipt.receipt.manifest).toBe(second.manifestId);
  });
});
