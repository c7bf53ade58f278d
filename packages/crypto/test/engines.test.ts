import * as nodeCrypto from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { engine as nodeEngine } from '../src/engine.node.ts';
import { engine as webEngine } from '../src/engine.web.ts';
import { engine as chosen } from '../src/index.ts';
import { randomBytes } from '../src/random.ts';
import { SecretBytes } from '../src/secretBytes.ts';
import * as sha2Node from '../src/sha2.node.ts';
import * as sha2Web from '../src/sha2.web.ts';

const bytes = (maxLength: number) => fc.uint8Array({ maxLength });
const exactly = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });

test('Node takes the node engine', () => {
  expect(chosen.name).toBe('node');
});

describe('both engines agree', () => {
  test('hmac, for keys shorter and longer than a block', async () => {
    await fc.assert(
      fc.asyncProperty(bytes(150), bytes(300), async (key, data) => {
        const ours = await nodeEngine.hmacSha256(key, data);
        expect(ours).toEqual(await webEngine.hmacSha256(key, data));
        for (const engine of [nodeEngine, webEngine])
          expect(await engine.hmacSha256(key, data.subarray(0, 7), new Uint8Array(0), data.subarray(7))).toEqual(ours);
        expect(ours).toEqual(new Uint8Array(nodeCrypto.createHmac('sha256', key).update(data).digest()));
      }),
    );
  });

  test('sha-2', () => {
    fc.assert(
      fc.property(bytes(500), (data) => {
        expect(sha2Node.sha256(data)).toEqual(sha2Web.sha256(data));
        expect(sha2Node.sha384(data)).toEqual(sha2Web.sha384(data));
        expect(sha2Node.sha512(data)).toEqual(sha2Web.sha512(data));
      }),
    );
  });

  test('x25519: keys of one work in the other', async () => {
    const [a, b] = [await nodeEngine.generateX25519(), await webEngine.generateX25519()];
    const shared = await nodeEngine.x25519(a.secretKey, b.publicKey);
    expect(await webEngine.x25519(b.secretKey, a.publicKey)).toEqual(shared);
    // Without the parsed form that belongs to the object.
    const copy = new SecretBytes(a.secretKey.reveal().slice());
    expect(await webEngine.x25519(copy, b.publicKey)).toEqual(shared);
    expect(await nodeEngine.x25519PublicKey(copy)).toEqual(a.publicKey);
    expect(await webEngine.x25519PublicKey(copy)).toEqual(a.publicKey);
  });

  test('aes-256-gcm: what one seals the other opens', async () => {
    await fc.assert(
      fc.asyncProperty(exactly(32), exactly(12), bytes(40), bytes(400), async (key, nonce, aad, plaintext) => {
        const sealed = await nodeEngine.aes256GcmSeal(key, nonce, aad, plaintext);
        expect(await webEngine.aes256GcmSeal(key, nonce, aad, plaintext)).toEqual(sealed);
        expect(await nodeEngine.aes256GcmOpen(key, nonce, aad, sealed)).toEqual(plaintext);
        expect(await webEngine.aes256GcmOpen(key, nonce, aad, sealed)).toEqual(plaintext);
      }),
      { numRuns: 40 },
    );
  });

  test.each([nodeEngine, webEngine])('p-256: accepts what node:crypto signed, $name engine', async (engine) => {
    const pair = nodeCrypto.generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const message = randomBytes(100);
    const signature = new Uint8Array(
      nodeCrypto.sign('sha256', message, { key: pair.privateKey, dsaEncoding: 'ieee-p1363' }),
    );
    const publicKey = new Uint8Array(pair.publicKey.export({ format: 'der', type: 'spki' })).slice(-64);
    expect(await engine.verifyP256(publicKey, message, signature)).toBe(true);
    expect(await engine.verifyP256(publicKey, message.subarray(1), signature)).toBe(false);
    expect(await engine.verifyP256(publicKey, message, signature.subarray(1))).toBe(false);
    expect(await engine.verifyP256(publicKey.subarray(1), message, signature)).toBe(false);
    expect(await engine.verifyP256(new Uint8Array(64), message, signature)).toBe(false);
  });
});

describe.each([nodeEngine, webEngine])('hostile input, $name engine', (engine) => {
  test('any flipped bit of a sealed text is refused', async () => {
    const [key, nonce, aad] = [randomBytes(32), randomBytes(12), randomBytes(5)];
    const sealed = await engine.aes256GcmSeal(key, nonce, aad, randomBytes(9));
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const changed = sealed.slice();
      changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
      await expect((async () => await engine.aes256GcmOpen(key, nonce, aad, changed))()).rejects.toMatchObject({
        code: 'AEAD_OPEN_FAILED',
      });
    }
  });

  test('text shorter than a tag is refused', async () => {
    for (const length of [0, 1, 15])
      await expect(
        (async () =>
          await engine.aes256GcmOpen(
            new Uint8Array(32),
            new Uint8Array(12),
            new Uint8Array(0),
            new Uint8Array(length),
          ))(),
      ).rejects.toMatchObject({ code: 'AEAD_OPEN_FAILED' });
  });

  test('a wiped secret is refused, though its parsed form is known', async () => {
    const pair = await engine.generateX25519();
    const peer = await engine.generateX25519();
    await engine.x25519(pair.secretKey, peer.publicKey);
    pair.secretKey.wipe();
    await expect((async () => await engine.x25519(pair.secretKey, peer.publicKey))()).rejects.toMatchObject({
      code: 'SECRET_WIPED',
    });
  });

  test('keys and nonces of other lengths are refused', async () => {
    const none = new Uint8Array(0);
    for (const [key, nonce] of [
      [16, 12],
      [32, 16],
      [31, 12],
    ] as const)
      await expect(
        (async () => await engine.aes256GcmSeal(new Uint8Array(key), new Uint8Array(nonce), none, none))(),
      ).rejects.toMatchObject({ code: 'INVALID_LENGTH' });
  });
});
