import { constants, generateKeyPairSync, type KeyObject, type SigningOptions, sign } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { engine as nodeEngine } from '../src/engine.node.ts';
import type { RsaPublicKey } from '../src/engine.ts';
import { engine as webEngine } from '../src/engine.web.ts';
import { randomBytes } from '../src/random.ts';

const message = randomBytes(300);
const flipped = (bytes: Uint8Array, at = 5) => bytes.map((byte, index) => (index === at ? byte ^ 1 : byte));

const rsaKeys = [2048, 3072, 4096].map((modulusLength) => generateKeyPairSync('rsa', { modulusLength }));
const [rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })] = rsaKeys;
const weakRsa = generateKeyPairSync('rsa', { modulusLength: 1024 });
const pss: SigningOptions = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 48 };
const pkcs1: SigningOptions = { padding: constants.RSA_PKCS1_PADDING };

function rsaPublic(key: KeyObject): RsaPublicKey {
  const { n = '', e = '' } = key.export({ format: 'jwk' });
  return {
    modulus: Uint8Array.from(Buffer.from(n, 'base64url')),
    exponent: Uint8Array.from(Buffer.from(e, 'base64url')),
  };
}

function signRsa(key: KeyObject, hash: string, options: SigningOptions): Uint8Array {
  return Uint8Array.from(sign(hash, message, { key, ...options }));
}

describe.each([nodeEngine, webEngine])('$name engine', (engine) => {
  test('p-384: accepts what node:crypto signed, and nothing else', async () => {
    const pair = generateKeyPairSync('ec', { namedCurve: 'P-384' });
    const signature = Uint8Array.from(sign('sha384', message, { key: pair.privateKey, dsaEncoding: 'ieee-p1363' }));
    const publicKey = Uint8Array.from(pair.publicKey.export({ format: 'der', type: 'spki' })).slice(-96);
    expect(await engine.verifyP384(publicKey, message, signature)).toBe(true);
    expect(await engine.verifyP384(publicKey, message.subarray(1), signature)).toBe(false);
    expect(await engine.verifyP384(publicKey, message, flipped(signature))).toBe(false);
    expect(await engine.verifyP384(publicKey, message, signature.subarray(1))).toBe(false);
    expect(await engine.verifyP384(publicKey.subarray(1), message, signature)).toBe(false);
    expect(await engine.verifyP384(new Uint8Array(96), message, signature)).toBe(false);
    expect(await engine.verifyP384(publicKey, message, new Uint8Array(96))).toBe(false);
    const sha256 = sign('sha256', message, { key: pair.privateKey, dsaEncoding: 'ieee-p1363' });
    expect(await engine.verifyP384(publicKey, message, Uint8Array.from(sha256))).toBe(false);
  });

  test.each(rsaKeys)('rsa of $publicKey.asymmetricKeyDetails.modulusLength bits: pss and pkcs #1', async (pair) => {
    const key = rsaPublic(pair.publicKey);
    const [good, other] = [signRsa(pair.privateKey, 'sha384', pss), signRsa(pair.privateKey, 'sha256', pkcs1)];
    expect(await engine.verifyRsaPss(key, message, good)).toBe(true);
    expect(await engine.verifyRsaPkcs1(key, message, other)).toBe(true);
    expect(await engine.verifyRsaPss(key, message, other)).toBe(false);
    expect(await engine.verifyRsaPkcs1(key, message, good)).toBe(false);
    for (const [verify, signature] of [
      [engine.verifyRsaPss, good],
      [engine.verifyRsaPkcs1, other],
    ] as const) {
      expect(await verify(key, message.subarray(1), signature)).toBe(false);
      expect(await verify(key, message, flipped(signature))).toBe(false);
      expect(await verify(key, message, signature.subarray(1))).toBe(false);
      expect(await verify(key, message, new Uint8Array(0))).toBe(false);
      expect(await verify({ ...key, modulus: flipped(key.modulus) }, message, signature)).toBe(false);
    }
  });

  test('rsa: a signature without its leading zero byte has another length, which no algorithm allows', async () => {
    const key = rsaPublic(rsa.publicKey);
    let signed = new Uint8Array(1).fill(1);
    while (signed[0] !== 0) signed = Uint8Array.from(signRsa(rsa.privateKey, 'sha384', pss)); // one salt of 256 gives one
    expect(await engine.verifyRsaPss(key, message, signed)).toBe(true);
    expect(await engine.verifyRsaPss(key, message, signed.subarray(1))).toBe(false);
    expect(await engine.verifyRsaPss(key, message, Uint8Array.of(0, ...signed))).toBe(false);
  });

  test('rsa: another salt length or hash is another algorithm', async () => {
    const key = rsaPublic(rsa.publicKey);
    for (const [hash, saltLength] of [
      ['sha384', 32],
      ['sha384', 0],
      ['sha256', 48],
      ['sha512', 48],
    ] as const) {
      const signature = signRsa(rsa.privateKey, hash, { ...pss, saltLength });
      expect(await engine.verifyRsaPss(key, message, signature), `${hash} ${saltLength}`).toBe(false);
    }
    for (const hash of ['sha1', 'sha384'])
      expect(await engine.verifyRsaPkcs1(key, message, signRsa(rsa.privateKey, hash, pkcs1)), hash).toBe(false);
  });

  test('rsa: keys that nobody should have are refused before they are used', async () => {
    const key = rsaPublic(rsa.publicKey);
    const signature = signRsa(rsa.privateKey, 'sha384', pss);
    const weak = rsaPublic(weakRsa.publicKey);
    expect(await engine.verifyRsaPss(weak, message, signRsa(weakRsa.privateKey, 'sha384', pss))).toBe(false);
    for (const bad of [
      { ...key, exponent: Uint8Array.of(1) },
      { ...key, exponent: Uint8Array.of(2) },
      { ...key, exponent: new Uint8Array(0) },
      { ...key, exponent: Uint8Array.of(0, 1, 0, 1) },
      { ...key, exponent: Uint8Array.of(1, 0, 0, 0, 1) },
      { ...key, modulus: new Uint8Array(0) },
      { ...key, modulus: new Uint8Array(256) },
      { ...key, modulus: new Uint8Array(1024).fill(0xff) },
      { ...key, modulus: Uint8Array.of(0, ...key.modulus) },
      { ...key, modulus: Uint8Array.of(...key.modulus.subarray(0, -1), 2) },
    ])
      expect(await engine.verifyRsaPss(bad, message, signature)).toBe(false);
  });
});
