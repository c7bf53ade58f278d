import {
  appId,
  isCodeOf,
  keyIdentityHash,
  manifestId,
  parseManifest,
  sealedCodeAad,
  secretsIdentity,
  unpackCode,
} from '@cloister/core';
import { fromHex, SecretBytes, sha256, toHex, utf8 } from '@cloister/crypto';
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
const code = utf8('export default { fetch: () => new Response("a trade secret") }');
const app = appId(owner, appSalt('sample'));

let network: SimulatedNetwork;
beforeEach(async () => {
  network = await SimulatedNetwork.start({ networkKeys: { apps: publicKey, beacon: publicKey } });
});
afterEach(() => network.stop());

const client = () => createClient({ network: network.file, fetch: network.gateway.fetch });
const deploy = (changes: Partial<DeployOptions> = {}) =>
  client().deploy({ account, code, name: 'sample', sealCode: true, pinImages: [bytes32(7)], ...changes });

/** What a host of the newest version sees. */
async function opened() {
  const { manifestId: id } = network.registries.apps.get(app)?.versions.at(-1) ?? expect.fail();
  const { code: reference, name } = parseManifest(network.gateway.blobs.get(id) ?? expect.fail());
  const keyVersion = reference.sealed?.keyVersion ?? expect.fail();
  const stored = network.gateway.blobs.get(reference.sha256) ?? expect.fail();
  expect(stored).toHaveLength(reference.bytes);
  const identity = fromHex(keyIdentityHash(network.domain, secretsIdentity(app, keyVersion)));
  const key = new SecretBytes(signWithShare(networkKey, identity));
  return { keyVersion, reference, ...unpackCode(await openSealed(key, identity, sealedCodeAad(name), stored)) };
}

describe('deploying with sealed code', () => {
  test('stores what only the hosts can open, and states what is inside by a salt of its own', async () => {
    const deployed = await deploy();
    expect(deployed.manifest.imagePolicy).toBe('both');
    expect(deployed.pinned).toEqual([bytes32(7)]);
    expect(manifestId(deployed.manifest)).toBe(deployed.manifestId);
    const found = await opened();
    expect(found).toMatchObject({ keyVersion: 1, code, salt: deployed.codeSalt, reference: deployed.manifest.code });
    expect(isCodeOf(deployed.manifest.code, code, deployed.codeSalt)).toBe(true);
  });

  test('leaves nothing of the code, its hash, its length or the salt with a gateway', async () => {
    const { codeSalt } = await deploy();
    const told = [toHex(sha256(code)), codeSalt ?? expect.fail(), `:${code.length},`, 'trade secret'];
    for (const blob of network.gateway.blobs.values()) {
      const text = Buffer.from(blob);
      for (const one of told) expect(text.includes(one)).toBe(false);
      expect(text.includes(Buffer.from(fromHex(codeSalt ?? '0x')))).toBe(false);
    }
    expect(network.gateway.blobs.has(toHex(sha256(code)))).toBe(false);
  });

  test('again is a new version: nobody can tell that it is the same code', async () => {
    const [first, again] = [await deploy(), await deploy()];
    expect(again).toMatchObject({ app: first.app, published: true, version: 2 });
    expect(again.manifest.code.sha256).not.toBe(first.manifest.code.sha256);
    expect(again.manifest.code.sealed?.digest).not.toBe(first.manifest.code.sealed?.digest);
    expect(again.manifest.code.bytes).toBe(first.manifest.code.bytes);
  });

  test('seals to the app’s key version', async () => {
    await deploy();
    Object.assign(network.registries.apps.get(app)?.versions[0]?.fields ?? {}, { keyVersion: 4, minKeyVersion: 3 });
    await deploy();
    expect(await opened()).toMatchObject({ keyVersion: 4, code });
  });

  test('needs a committee, and stores nothing without one', async () => {
    const { networkKeys: _, ...file } = network.file;
    const without = createClient({ network: { ...file, networkKeys: null }, fetch: network.gateway.fetch });
    await expect(
      without.deploy({ account, code, name: 'sample', sealCode: true, pinImages: [] }),
    ).rejects.toMatchObject({ code: 'SECRETS_NO_COMMITTEE' });
    expect(network.gateway.blobs.size).toBe(0);
    expect(network.rpc.asks('eth_sendRawTransaction')).toBe(0);
  });

  test('that is not asked for stores it as it is', async () => {
    const deployed = await deploy({ sealCode: false });
    expect(deployed).toMatchObject({ codeSalt: undefined, manifest: { imagePolicy: 'network' } });
    expect(network.gateway.blobs.get(toHex(sha256(code)))).toEqual(code);
  });
});

describe('new keys of an app with sealed code', () => {
  test('have the code sealed to them, in a version of its own, before the older ones are closed', async () => {
    const before = await deploy();
    const { keyVersion, secretsId, sealed } = await client().rotateKeys(app, { account, values: {}, code });
    expect({ keyVersion, secretsId }).toEqual({ keyVersion: 2, secretsId: undefined });
    const versions = network.registries.apps.get(app)?.versions ?? [];
    expect(versions.map(({ manifestId: id }) => id)).toEqual([before.manifestId, sealed?.manifestId]);
    expect(versions.at(-1)?.fields).toMatchObject({ keyVersion: 2, minKeyVersion: 2 });
    expect(await opened()).toMatchObject({ keyVersion: 2, code, salt: sealed?.codeSalt });
    expect(sealed?.codeSalt).not.toBe(before.codeSalt);
  });

  test('need the code, and nothing is changed without it', async () => {
    await deploy();
    const sent = network.rpc.asks('eth_sendRawTransaction');
    await expect(client().rotateKeys(app, { account, values: {} })).rejects.toMatchObject({
      code: 'ROTATE_CODE_MISSING',
    });
    expect(network.rpc.asks('eth_sendRawTransaction')).toBe(sent);
  });

  test('of an app whose code is not sealed take no code', async () => {
    await deploy({ sealCode: false, secrets: { KEY: 'value' } });
    const rotated = client().rotateKeys(app, { account, values: { KEY: 'other' }, code });
    await expect(rotated).rejects.toMatchObject({ code: 'ROTATE_CODE_NOT_SEALED' });
    expect(network.registries.apps.get(app)?.versions[0]?.fields.keyVersion).toBe(1);
  });
});
