import {
  type Bytes32,
  functionManifest,
  keyIdentityHash,
  type SecretsBundle,
  secretsBundleBytes,
  secretsBundleId,
  secretsIdentity,
  zeroBytes32,
} from '@cloister/core';
import { addressOf, fromHex, generateSecp256k1, SecretBytes, signDigest, toHex } from '@cloister/crypto';
import { PlacementError } from '@cloister/placement';
import { publicOf, signWithShare } from '@cloister/threshold/native';
import { beforeEach, describe, expect, test } from 'vitest';
import { sealSecrets } from '../../../packages/sdk/src/secrets.ts';
import { AppSecrets, type AppSecretsComponents } from '../src/keys/appSecrets.ts';
import type { AppVersion } from '../src/keys/appVersion.ts';

const b32 = (byte: number): Bytes32 => `0x${byte.toString(16).padStart(2, '0').repeat(32)}`;
const domain = { chainId: 31337, registry: `0x${'77'.repeat(20)}` } as const;
const app = b32(1);
const signal = new AbortController().signal;
/** The whole network key, as only a test has it. */
const networkKey = new SecretBytes(new Uint8Array(32).fill(5));
const owner = generateSecp256k1();
const network = {
  chainId: domain.chainId,
  contracts: { workerRegistry: domain.registry },
  networkKeys: { apps: toHex(publicOf(networkKey)), beacon: '0x' },
} as never;
const manifest = functionManifest({ name: 'x', code: { sha256: b32(2), bytes: 1 }, secrets: ['A', 'B'] });
const version: AppVersion = { app, manifestId: b32(3), manifest, fields: { keyVersion: 2, minKeyVersion: 2 } };

let stored: Map<Bytes32, Uint8Array>;
let anchored: { bundleId: Bytes32; setBy: `0x${string}`; setAt: bigint };
let hosts: Bytes32[];
let asked: object[];
let given: SecretBytes[];

beforeEach(() => {
  stored = new Map();
  anchored = { bundleId: zeroBytes32, setBy: addressOf(owner), setAt: 1n };
  hosts = [b32(9)];
  asked = [];
  given = [];
});

function secrets(changes: Partial<AppSecretsComponents> = {}): AppSecrets {
  return new AppSecrets({
    domain,
    registry: { secretsOf: async () => anchored, view: { head: async () => ({}) } } as never,
    placement: { placementOf: async () => ({ hosts }) } as never,
    blobs: async (id) => stored.get(id) ?? Promise.reject(new Error('no such blob')),
    signature: async (wish) => {
      asked.push(wish);
      const key = new SecretBytes(signWithShare(networkKey, fromHex(keyIdentityHash(domain, wish))));
      given.push(key);
      return key;
    },
    workerId: b32(9),
    ...changes,
  });
}

const seal = (values: Record<string, string>, keyVersion = 2) =>
  sealSecrets({ network, app, keyVersion, values, sign: async (digest) => toHex(signDigest(owner, fromHex(digest))) });

function anchor(bundle: SecretsBundle): Bytes32 {
  const bundleId = secretsBundleId(bundle);
  stored.set(bundleId, secretsBundleBytes(bundle));
  anchored = { ...anchored, bundleId };
  return bundleId;
}

const failing = (error: unknown) => error as { code: string; message: string };

describe('an app’s secrets', () => {
  test('are opened by the committee’s key, those that the manifest names and no others', async () => {
    const bundleId = anchor(await seal({ A: 'first', B: 'zwölf', C: 'not for this version' }));
    expect(await secrets().open(version, signal)).toEqual({ bundleId, values: { A: 'first', B: 'zwölf' } });
    expect(asked).toEqual([{ ...secretsIdentity(app, 2), manifest: b32(3) }]);
    expect(() => given[0]?.reveal()).toThrow();
  });

  test('of an older key version that is still released are asked for by that version', async () => {
    anchor(await seal({ A: '1', B: '2' }, 2));
    const raised = { ...version, fields: { keyVersion: 5, minKeyVersion: 2 } };
    expect((await secrets().open(raised, signal)).values).toEqual({ A: '1', B: '2' });
    expect(asked).toMatchObject([{ keyVersion: 2 }]);
  });

  test('that nobody has set are told as such, and no key is asked for', async () => {
    await expect(secrets().open(version, signal)).rejects.toMatchObject({ code: 'APP_SECRETS_ABSENT' });
    expect(asked).toEqual([]);
  });

  test.each<[string, () => Promise<unknown>, RegExp]>([
    ['lack a name', async () => anchor(await seal({ A: '1' })), /lack "B"/],
    ['are sealed for a key version that is over', async () => anchor(await seal({ A: '1', B: '2' }, 1)), /version "1"/],
    [
      'are signed by another than who anchored them',
      async () => {
        anchor(await seal({ A: '1', B: '2' }));
        anchored = { ...anchored, setBy: `0x${'44'.repeat(20)}` };
      },
      /not signed by/,
    ],
    [
      'are no bundle at all',
      async () => {
        stored.set(b32(8), new Uint8Array([123]));
        anchored = { ...anchored, bundleId: b32(8) };
      },
      /secrets bundle/,
    ],
  ])('that %s are refused before any key is asked for', async (_, make, message) => {
    await make();
    const refused = failing(
      await secrets()
        .open(version, signal)
        .catch((error: unknown) => error),
    );
    expect(refused).toMatchObject({ code: 'APP_SECRETS_INVALID', message: expect.stringMatching(message) });
    expect(asked).toEqual([]);
  });

  test('that a host has put in place of the owner’s are refused, all of them or one alone', async () => {
    const host = generateSecp256k1();
    const values = { A: 'of the host', B: 'of the host' };
    // Rightly sealed, since anybody can: the public key is in the network file.
    const injected = await sealSecrets({
      network,
      app,
      keyVersion: 2,
      values,
      sign: async (digest) => toHex(signDigest(host, fromHex(digest))),
    });
    const own = await seal({ A: '1', B: '2' });
    const mixed = { ...own, secrets: own.secrets.map((one, index) => (index === 0 ? one : injected.secrets[index])) };
    for (const bundle of [injected, mixed as SecretsBundle]) {
      // Even if the RPCs that the host picks name its bundle: who set it is the owner.
      anchor(bundle);
      await expect(secrets().open(version, signal)).rejects.toMatchObject({ code: 'APP_SECRETS_INVALID' });
    }
    expect(asked).toEqual([]);
  });

  test('of another app of the same owner are refused', async () => {
    const sign = async (digest: Bytes32) => toHex(signDigest(owner, fromHex(digest)));
    anchor(await sealSecrets({ network, app: b32(7), keyVersion: 2, values: { A: '1', B: '2' }, sign }));
    await expect(secrets().open(version, signal)).rejects.toMatchObject({ code: 'APP_SECRETS_INVALID' });
    expect(asked).toEqual([]);
  });

  test('sealed to another key do not open, and the key is wiped all the same', async () => {
    anchor(await seal({ A: '1', B: '2' }));
    const other = new SecretBytes(new Uint8Array(32).fill(6));
    const key = new SecretBytes(signWithShare(other, fromHex(keyIdentityHash(domain, secretsIdentity(app, 2)))));
    const refused = secrets({ signature: async () => key }).open(version, signal);
    await expect(refused).rejects.toMatchObject({ code: 'APP_SECRETS_INVALID' });
    expect(() => key.reveal()).toThrow();
  });

  test('what the committee refuses passes through, so that the caller can be told', async () => {
    anchor(await seal({ A: '1', B: '2' }));
    const signature = () => Promise.reject(Object.assign(new Error('no'), { code: 'KEYS_REFUSED' }));
    await expect(secrets({ signature }).open(version, signal)).rejects.toMatchObject({ code: 'KEYS_REFUSED' });
  });
});

describe('whether the app is placed here', () => {
  test('is what the placement says', async () => {
    await secrets().assertPlaced(version, signal);
    hosts = [b32(7), b32(8)];
    await expect(secrets().assertPlaced(version, signal)).rejects.toMatchObject({
      code: 'APP_NOT_PLACED',
      message: expect.stringContaining(b32(8)),
    });
    const placement = { placementOf: () => Promise.reject(new PlacementError(app, 'not yet')) } as never;
    await expect(secrets({ placement }).assertPlaced(version, signal)).rejects.toMatchObject({
      code: 'PLACEMENT_PENDING',
    });
  });
});
