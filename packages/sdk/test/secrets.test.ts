import {
  appId,
  assertSecretsBundle,
  keyIdentityHash,
  parseSecretsBundle,
  secretsBundleId,
  secretsIdentity,
} from '@cloister/core';
import { fromHex, SecretBytes, toHex, utf8 } from '@cloister/crypto';
import { appSalt, createClient, type DeployOptions } from '@cloister/sdk';
import { publicOf, signWithShare } from '@cloister/threshold/native';
import { openSealed } from '@cloister/threshold/seal';
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { bytes32, SimulatedNetwork } from './simulatedNetwork.ts';

/** The whole network key, as only a test has it. */
const networkKey = new SecretBytes(new Uint8Array(32).fill(5));
const publicKey = toHex(publicOf(networkKey));
const account = generatePrivateKey();
const owner = privateKeyToAccount(account).address.toLowerCase() as `0x${string}`;
const code = utf8('export default {}');
const app = appId(owner, appSalt('sample'));
const secrets = { TOKEN: 'abc', PASSWORD: 'söcret' };

let network: SimulatedNetwork;
beforeEach(async () => {
  network = await SimulatedNetwork.start({ networkKeys: { apps: publicKey, beacon: publicKey } });
});
afterEach(() => network.stop());

const client = () => createClient({ network: network.file, fetch: network.gateway.fetch });
const deploy = (changes: Partial<DeployOptions> = {}) =>
  client().deploy({ account, code, name: 'sample', secrets, pinImages: [bytes32(7)], ...changes });

/** What the hosts see. */
async function opened(): Promise<Record<string, string>> {
  const { bundleId, setBy } = network.registries.secrets.get(app) ?? expect.fail();
  const bundle = parseSecretsBundle(network.gateway.blobs.get(bundleId) ?? expect.fail());
  expect(secretsBundleId(bundle)).toBe(bundleId);
  assertSecretsBundle(network.domain, bundle, { app, keyVersion: 9, minKeyVersion: 1, names: [], setBy });
  const identity = fromHex(keyIdentityHash(network.domain, secretsIdentity(app, bundle.keyVersion)));
  const key = new SecretBytes(signWithShare(networkKey, identity));
  const values = bundle.secrets.map(async ({ name, sealed }) => [
    name,
    new TextDecoder().decode(await openSealed(key, identity, utf8(name), fromHex(sealed))),
  ]);
  return Object.fromEntries(await Promise.all(values));
}

describe('deploying with secrets', () => {
  test('names them in the manifest, seals and anchors the values, and allows the images', async () => {
    const deployed = await deploy();
    expect(deployed.manifest).toMatchObject({ secrets: ['PASSWORD', 'TOKEN'], imagePolicy: 'both' });
    expect(deployed).toMatchObject({ secretsId: network.registries.secrets.get(app)?.bundleId, pinned: [bytes32(7)] });
    expect(network.registries.pinned).toEqual(new Set([`${app} ${bytes32(7)}`]));
    expect(await opened()).toEqual(secrets);
    for (const blob of network.gateway.blobs.values()) expect(Buffer.from(blob).includes('söcret')).toBe(false);
  });

  test('again seals anew, publishes nothing, and allows no image twice', async () => {
    const first = await deploy();
    const again = await deploy({ secrets: { ...secrets, TOKEN: 'def' }, pinImages: [bytes32(7), bytes32(8)] });
    expect(again).toMatchObject({ published: false, pinned: [bytes32(8)] });
    expect(again.secretsId).not.toBe(first.secretsId);
    expect(await opened()).toMatchObject({ TOKEN: 'def' });
  });

  test('without giving them anew keeps those that are set', async () => {
    const { secretsId, manifest } = await deploy();
    const { secrets: _, ...later } = { secrets, code: utf8('export default { }') };
    const next = await client().deploy({
      account,
      name: 'sample',
      ...later,
      pinImages: [],
      manifest: { secrets: manifest.secrets },
    });
    expect(next).toMatchObject({ published: true, version: 2, secretsId: undefined });
    expect(network.registries.secrets.get(app)?.bundleId).toBe(secretsId);
  });

  test('seals for the app’s key version', async () => {
    await deploy();
    const [version] = network.registries.apps.get(app)?.versions ?? [];
    Object.assign(version?.fields ?? {}, { keyVersion: 4, minKeyVersion: 3 });
    await deploy();
    expect(await opened()).toEqual(secrets);
    const { bundleId } = network.registries.secrets.get(app) ?? expect.fail();
    expect(parseSecretsBundle(network.gateway.blobs.get(bundleId) ?? expect.fail()).keyVersion).toBe(4);
  });

  test.each<[string, Partial<DeployOptions>, string]>([
    ['a listed name has no value', { manifest: { secrets: ['TOKEN', 'OTHER'] } }, 'SECRETS_MISSING'],
    ['a value is too long', { secrets: { TOKEN: 'x'.repeat(16 * 1024 + 1) } }, 'SECRETS_TOO_LARGE'],
    ['a name is none', { secrets: { 'not a name': 'x' } }, 'SCHEMA_MISMATCH'],
    ['a name is a constant too', { manifest: { env: { TOKEN: 'x' } } }, 'MANIFEST_NAME_REPEATED'],
  ])('is refused before anything is stored or sent where %s', async (_, changes, refusal) => {
    await expect(deploy(changes)).rejects.toMatchObject({ code: refusal });
    expect(network.gateway.blobs.size).toBe(0);
    expect(network.rpc.asks('eth_sendRawTransaction')).toBe(0);
  });

  test('is refused where names stand in the manifest and nobody ever gave a value', async () => {
    const bare = { account, code, name: 'sample', manifest: { secrets: ['KEY'] } };
    await expect(client().deploy(bare)).rejects.toMatchObject({ code: 'SECRETS_MISSING' });
  });

  test('is refused on a network without a committee', async () => {
    const { networkKeys: _, ...file } = network.file;
    const without = createClient({ network: { ...file, networkKeys: null }, fetch: network.gateway.fetch });
    await expect(without.deploy({ account, code, name: 'sample', secrets })).rejects.toMatchObject({
      code: 'SECRETS_NO_COMMITTEE',
    });
    expect(network.rpc.asks('eth_sendRawTransaction')).toBe(0);
  });
});

describe('new keys', () => {
  test('have all values sealed to them before the older ones are closed', async () => {
    await deploy();
    const { keyVersion, secretsId } = await client().rotateKeys(app, { account, values: { ...secrets, TOKEN: 'new' } });
    expect(keyVersion).toBe(2);
    expect(network.registries.apps.get(app)?.versions[0]?.fields).toMatchObject({ keyVersion: 2, minKeyVersion: 2 });
    expect(parseSecretsBundle(network.gateway.blobs.get(secretsId ?? '0x') ?? expect.fail()).keyVersion).toBe(2);
    expect(await opened()).toEqual({ ...secrets, TOKEN: 'new' });
  });

  test('are sealed to by the version just raised, whatever an RPC that lags shows', async () => {
    await deploy();
    const before = network.registries.apps.get(app)?.versions[0]?.fields;
    const late = { ...before };
    const asked = client();
    const shown = await asked.registry.currentApp(app);
    asked.registry.currentApp = async () => ({ ...shown, fields: late as typeof shown.fields });
    const { secretsId } = await asked.rotateKeys(app, { account, values: secrets });
    expect(parseSecretsBundle(network.gateway.blobs.get(secretsId ?? '0x') ?? expect.fail()).keyVersion).toBe(2);
  });

  test('are not made where a value is missing', async () => {
    await deploy();
    const rotated = client().rotateKeys(app, { account, values: { TOKEN: 'new' } });
    await expect(rotated).rejects.toMatchObject({ code: 'SECRETS_MISSING' });
    expect(network.registries.apps.get(app)?.versions[0]?.fields.keyVersion).toBe(1);
  });
});

describe('setting secrets anew', () => {
  test('replaces all values', async () => {
    await deploy();
    const values = { TOKEN: '1', PASSWORD: '2', LATER: '3' };
    const id = await client().setSecrets(app, { account, values });
    expect(network.registries.secrets.get(app)?.bundleId).toBe(id);
    expect(await opened()).toEqual(values);
  });

  test('is refused for a name without a value, for an unknown app, and for anybody else', async () => {
    await deploy();
    const other = generatePrivateKey();
    const set = (options: Partial<Parameters<ReturnType<typeof client>['setSecrets']>[1]>, of = app) =>
      client().setSecrets(of, { account, values: secrets, ...options });
    await expect(set({ values: { TOKEN: 'x' } })).rejects.toMatchObject({ code: 'SECRETS_MISSING' });
    await expect(set({}, bytes32(1))).rejects.toMatchObject({ code: 'REGISTRY_APP_UNKNOWN' });
    await expect(set({ account: other })).rejects.toMatchObject({ code: 'TRANSACTION_REFUSED' });
    expect(await opened()).toEqual(secrets);
  });
});
