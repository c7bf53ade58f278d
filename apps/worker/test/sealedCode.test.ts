import {
  type Bytes32,
  type CodeReference,
  functionManifest,
  keyIdentityHash,
  packCode,
  sealedCodeAad,
  sealedCodeDigest,
  secretsIdentity,
} from '@cloister/core';
import { fromHex, SecretBytes, sha256, toHex, utf8 } from '@cloister/crypto';
import { publicOf, signWithShare } from '@cloister/threshold/native';
import { sealToIdentity } from '@cloister/threshold/seal';
import { beforeEach, describe, expect, test } from 'vitest';
import { sealCode } from '../../../packages/sdk/src/sealedCode.ts';
import { openSealedCode, type SealedVersion } from '../src/keys/sealedCode.ts';

const b32 = (byte: number): Bytes32 => `0x${byte.toString(16).padStart(2, '0').repeat(32)}`;
const domain = { chainId: 31337, registry: `0x${'77'.repeat(20)}` } as const;
const app = b32(1);
const signal = new AbortController().signal;
/** The whole network key, as only a test has it. */
const networkKey = new SecretBytes(new Uint8Array(32).fill(5));
const network = {
  chainId: domain.chainId,
  contracts: { workerRegistry: domain.registry },
  networkKeys: { apps: toHex(publicOf(networkKey)), beacon: '0x' },
} as never;
const code = utf8('export default { fetch: () => new Response("a trade secret") }');
const identityOf = (of: Bytes32, keyVersion: number) =>
  fromHex(keyIdentityHash(domain, secretsIdentity(of, keyVersion)));

let asked: object[];
let given: SecretBytes[];
beforeEach(() => {
  asked = [];
  given = [];
});

const seal = (changes: Partial<Parameters<typeof sealCode>[0]> = {}) =>
  sealCode({ network, app, keyVersion: 2, name: 'x', code, ...changes });

const versionOf = (reference: CodeReference, changes: Partial<SealedVersion> = {}): SealedVersion => ({
  app,
  manifestId: b32(3),
  manifest: functionManifest({ name: 'x', code: reference }),
  fields: { keyVersion: 3, minKeyVersion: 2 },
  ...changes,
});

function open(version: SealedVersion, stored: Uint8Array, secret = networkKey): Promise<Uint8Array> {
  const signature = async (wish: { app: Bytes32; keyVersion: number }) => {
    asked.push(wish);
    const key = new SecretBytes(signWithShare(secret, identityOf(wish.app, wish.keyVersion)));
    given.push(key);
    return key;
  };
  return openSealedCode({ domain, signature }, version, stored, signal);
}

async function refused(version: SealedVersion, stored: Uint8Array, wanted: string, secret = networkKey): Promise<void> {
  const error: unknown = await open(version, stored, secret).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ name: 'AppRefusedError', code: wanted });
  const { message } = error as Error;
  expect(message).not.toContain('trade secret');
  for (const key of given) expect(() => key.reveal()).toThrow();
}

describe('sealed code', () => {
  test('is opened by the committee’s key, which is wiped', async () => {
    const { reference, blob } = await seal();
    expect(await open(versionOf(reference), blob)).toEqual(code);
    expect(asked).toEqual([{ ...secretsIdentity(app, 2), manifest: b32(3) }]);
    expect(() => given[0]?.reveal()).toThrow();
  });

  test('that was changed or cut anywhere is refused', async () => {
    const { reference, blob } = await seal();
    for (const at of [0, 47, 48, 79, 80, blob.length - 17, blob.length - 1]) {
      const changed = Uint8Array.from(blob);
      changed[at] = (changed[at] as number) ^ 1;
      await refused(versionOf(reference), changed, 'APP_CODE_SEAL_INVALID');
    }
    for (const length of [0, 95, blob.length - 1])
      await refused(versionOf(reference), blob.subarray(0, length), 'APP_CODE_SEAL_INVALID');
  });

  test('of another app is refused, though its owner names it in a manifest of his own', async () => {
    const { reference, blob } = await seal({ app: b32(2) });
    await refused(versionOf(reference), blob, 'APP_CODE_SEAL_INVALID');
  });

  test('of another key version, or under another name, is refused', async () => {
    const { reference, blob } = await seal({ keyVersion: 3 });
    const stated = { ...reference, sealed: { digest: b32(1), ...reference.sealed, keyVersion: 2 } };
    await refused(versionOf(stated), blob, 'APP_CODE_SEAL_INVALID');
    const named = await seal({ name: 'y' });
    await refused(versionOf(named.reference), named.blob, 'APP_CODE_SEAL_INVALID');
  });

  test('does not open with the key of another network', async () => {
    const { reference, blob } = await seal();
    await refused(versionOf(reference), blob, 'APP_CODE_SEAL_INVALID', new SecretBytes(new Uint8Array(32).fill(6)));
  });

  test('is no secret, and a secret is no code', async () => {
    const { reference } = await seal();
    const { packed } = packCode(code);
    // Sealed to the same identity, as a secret of the app's name would be.
    const asSecret = await sealToIdentity(publicOf(networkKey), identityOf(app, 2), utf8('x'), packed);
    await refused(versionOf(reference), asSecret, 'APP_CODE_SEAL_INVALID');
  });

  test('with another salt or other code than the manifest promises is refused', async () => {
    const { reference, blob, salt } = await seal();
    for (const digest of [
      sealedCodeDigest(b32(9), toHex(sha256(code))),
      sealedCodeDigest(salt, b32(9)),
      toHex(sha256(code)),
    ])
      await refused(versionOf({ ...reference, sealed: { digest, keyVersion: 2 } }), blob, 'APP_CODE_MISMATCH');
  });

  test('that is no code inside is refused', async () => {
    const { reference } = await seal();
    for (const packed of [new Uint8Array(), code, new Uint8Array(4_096).fill(255)]) {
      const blob = await sealToIdentity(publicOf(networkKey), identityOf(app, 2), sealedCodeAad('x'), packed);
      await refused(versionOf(reference), blob, 'APP_CODE_SEAL_INVALID');
    }
  });

  test.each([1, 4])(
    'sealed to key version %i, which is not in use, is refused before any key is asked for',
    async (keyVersion) => {
      const { reference, blob } = await seal({ keyVersion });
      await refused(versionOf(reference), blob, 'APP_CODE_VERSION_OUTSIDE');
      expect(asked).toEqual([]);
    },
  );

  test('of which the committee gives no key is not opened, and the caller is told its rule', async () => {
    const { reference, blob } = await seal();
    const signature = () => Promise.reject(Object.assign(new Error('no'), { code: 'KEYS_REFUSED' }));
    await expect(openSealedCode({ domain, signature }, versionOf(reference), blob, signal)).rejects.toMatchObject({
      code: 'KEYS_REFUSED',
    });
  });
});
