import {
  assertSecretsBundle,
  maxSecretBytes,
  parseSecretsBundle,
  type SecretsBundle,
  sealedSecretDigest,
  secretsBundleBytes,
  secretsBundleId,
} from '@cloister/core';
import { addressOf, fromHex, generateSecp256k1, sha256, signDigest, toHex, utf8 } from '@cloister/crypto';
import { describe, expect, test } from 'vitest';
import { b32, domain } from './helpers.ts';

const owner = generateSecp256k1();
const app = b32(1);
const sealed = toHex(new Uint8Array(120).fill(9));

function bundle(names: readonly string[] = ['A', 'B'], changes: Partial<SecretsBundle> = {}): SecretsBundle {
  const keyVersion = changes.keyVersion ?? 2;
  return {
    format: 'cloister-secrets-1',
    app,
    keyVersion,
    secrets: names.map((name) => ({
      name,
      sealed,
      signature: toHex(signDigest(owner, fromHex(sealedSecretDigest(domain, { app, name, keyVersion, sealed })))),
    })),
    ...changes,
  };
}

const expected = { app, keyVersion: 3, minKeyVersion: 2, names: ['A', 'B'], setBy: addressOf(owner) };
const check = (found: SecretsBundle, changes: Partial<typeof expected> = {}) =>
  assertSecretsBundle(domain, found, { ...expected, ...changes });
const code = (wanted: string) => expect.objectContaining({ code: wanted });

describe('a bundle of secrets', () => {
  test('is stored under the sha256 of its canonical bytes, and read back', () => {
    const made = bundle();
    expect(secretsBundleId(made)).toBe(toHex(sha256(secretsBundleBytes(made))));
    expect(parseSecretsBundle(secretsBundleBytes(made))).toEqual(made);
  });

  test('holds for its app, owner and key versions, and may hold more than a manifest names', () => {
    check(bundle());
    check(bundle(), { names: ['B'] });
    check(bundle(), { names: [] });
    check(bundle(['A', 'B'], { keyVersion: 3 }));
  });

  test.each<[string, string, SecretsBundle, Partial<typeof expected>]>([
    ['another app’s', 'SECRETS_OTHER_APP', bundle(), { app: b32(2) }],
    ['sealed for an old key version', 'SECRETS_VERSION_OUTSIDE', bundle(['A', 'B'], { keyVersion: 1 }), {}],
    ['sealed for a key version to come', 'SECRETS_VERSION_OUTSIDE', bundle(['A', 'B'], { keyVersion: 4 }), {}],
    ['without a name that the manifest lists', 'SECRETS_INCOMPLETE', bundle(['A']), {}],
    ['anchored by another account', 'SECRETS_SIGNATURE_INVALID', bundle(), { setBy: `0x${'44'.repeat(20)}` as const }],
  ])('%s is refused', (_, wanted, found, changes) => {
    expect(() => check(found, changes)).toThrow(code(wanted));
  });

  test('a value put under another name, at another version or from another bundle is refused', () => {
    const [first, second] = bundle().secrets;
    if (first === undefined || second === undefined) expect.fail();
    const swapped = [
      { ...first, signature: second.signature },
      { ...second, signature: first.signature },
    ];
    const raised = bundle(['A', 'B'], { keyVersion: 3 });
    for (const secrets of [
      swapped,
      [{ ...first, sealed: `0x${first.sealed.slice(2, -2)}0a` as const }, second],
      [first, { ...second, signature: `0x${'00'.repeat(65)}` as const }],
      [first, raised.secrets[1] ?? expect.fail()],
    ])
      expect(() => check({ ...bundle(), secrets })).toThrow(code('SECRETS_SIGNATURE_INVALID'));
  });

  test.each<[string, unknown]>([
    ['names out of order', bundle(['B', 'A'])],
    ['a name twice', bundle(['A', 'A'])],
    ['a name that no variable can have', bundle(['1A'])],
    ['something too short to be sealed', { ...bundle(), secrets: [{ ...bundle().secrets[0], sealed: '0x00' }] }],
    [
      'something too long',
      { ...bundle(), secrets: [{ ...bundle().secrets[0], sealed: `0x${'00'.repeat(maxSecretBytes + 97)}` }] },
    ],
    ['half a byte', { ...bundle(), secrets: [{ ...bundle().secrets[0], sealed: `${sealed}0` }] }],
    ['another field', { ...bundle(), more: 1 }],
    ['more than 64 secrets', bundle(Array.from({ length: 65 }, (_, index) => `N${String(index).padStart(2, '0')}`))],
  ])('with %s can not be read', (_, json) => {
    expect(() => parseSecretsBundle(secretsBundleBytes(json as SecretsBundle))).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/^(SCHEMA_MISMATCH|SECRETS_UNORDERED)$/) }),
    );
  });

  test('in any other form than the canonical one can not be read', () => {
    expect(() => parseSecretsBundle(utf8(JSON.stringify(bundle(), null, 1)))).toThrow(code('JSON_NOT_CANONICAL'));
  });
});
