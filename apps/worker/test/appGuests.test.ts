// Which apps get a guest agent, and whose keys stand behind it.
import {
  type Bytes32,
  functionManifest,
  type Manifest,
  manifestId,
  manifestOfKind,
  signingIdentity,
} from '@cloister/core';
import { SecretBytes, sha256, toHex, utf8 } from '@cloister/crypto';
import { addressOf, signDigest } from '@cloister/crypto/native-secp256k1';
import { expect, test } from 'vitest';
import { b32, device, domain, now, receiptSigner, signal } from '../../../packages/guest/test/guestParts.ts';
import { AppGuests } from '../src/guest/appGuests.ts';

const code = { sha256: b32(3), bytes: 1 };
const asking = functionManifest({ name: 'asking', code, outbound: ['worker:guest'] });
const containers = manifestOfKind('container', {
  ...{ name: 'asking', code, outbound: ['worker:guest'], container: { service: 'web', port: 8080 } },
});

type Components = ConstructorParameters<typeof AppGuests>[0];

/** A committee that signs by the identity alone, and remembers who asked for what. */
function guests(signature?: Components['signature']) {
  const asked: object[] = [];
  const signatures: SecretBytes[] = [];
  const made = new AppGuests({
    network: { chainId: domain.chainId, networkKeys: { apps: '0xaa', beacon: '0xbb' } },
    ...{ domain, device, now: () => now },
    receiptSigner: { address: addressOf(receiptSigner), sign: (digest) => signDigest(receiptSigner, digest) },
    signature:
      signature ??
      (async ({ manifest, ...identity }) => {
        asked.push({ manifest, ...identity });
        const signed = new SecretBytes(sha256(utf8(JSON.stringify(identity))));
        signatures.push(signed);
        return signed;
      }),
  });
  return { made, asked, signatures };
}

const versionOf = (manifest: Manifest, app: Bytes32, keyVersion = 1) => ({
  ...{ app, manifestId: manifestId(manifest), manifest },
  fields: { keyVersion, minKeyVersion: 1 } as never,
});

/** The key that an app of this version is given at one path. */
async function keyOf(manifest: Manifest, app: Bytes32, keyVersion = 1): Promise<string> {
  const agent = (await guests().made.open(versionOf(manifest, app, keyVersion), signal)) ?? expect.fail('no agent');
  const { key } = await agent.givenKey({ path: 'a', purpose: '', algorithm: '' });
  agent.close();
  return toHex(key);
}

test('an app whose manifest names none gets none, and the committee is not even asked', async () => {
  const { made, asked } = guests();
  for (const outbound of [[], ['api.example'], ['chain:read'], [`app:${b32(1)}`]] as const)
    expect(await made.open(versionOf(functionManifest({ name: 'x', code, outbound }), b32(1)), signal)).toBeUndefined();
  expect(asked).toEqual([]);
});

test('the committee is asked for the app’s own identity, for the manifest that runs, and its signature is wiped', async () => {
  const { made, asked, signatures } = guests();
  const agent = await made.open(versionOf(containers, b32(1), 2), signal);
  expect(asked).toEqual([{ ...signingIdentity(b32(1), 2), manifest: manifestId(containers) }]);
  expect(() => signatures[0]?.reveal()).toThrow();
  agent?.close();
});

test('no two apps, key versions or kinds have the same keys; the same ones have them again', async () => {
  const keys = [
    await keyOf(asking, b32(1)),
    await keyOf(asking, b32(2)),
    await keyOf(asking, b32(1), 2),
    await keyOf(containers, b32(1)),
  ];
  expect(new Set(keys).size).toBe(keys.length);
  expect(await keyOf({ ...asking, env: { A: 'b' } }, b32(1))).toBe(keys[0]);
});

test('each loading is an instance of its own', async () => {
  const { made } = guests();
  const [one, other] = [
    await made.open(versionOf(asking, b32(1)), signal),
    await made.open(versionOf(asking, b32(1)), signal),
  ];
  const nonces = [one, other].map((agent) => agent?.statement().nonce);
  expect(nonces[0]).toMatch(/^0x[0-9a-f]{64}$/);
  expect(nonces[1]).not.toBe(nonces[0]);
  one?.close();
  other?.close();
});

test('where the committee does not answer, there is no agent', async () => {
  const { made } = guests(() => Promise.reject(new Error('no committee')));
  await expect(made.open(versionOf(asking, b32(1)), signal)).rejects.toThrow('no committee');
});
