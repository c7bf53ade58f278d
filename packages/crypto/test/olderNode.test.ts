import { afterEach, expect, test, vi } from 'vitest';
import { fromHex, toHex, utf8 } from '../src/bytes.ts';
import { SecretBytes } from '../src/secretBytes.ts';

afterEach(() => {
  vi.doUnmock('node:crypto');
  vi.resetModules();
});

test('without the one-shot hash and without raw keys, as in Node 20, the results are the same', async () => {
  const { engine: current } = await import('../src/engine.node.ts');
  vi.resetModules();
  vi.doMock('node:crypto', async () => {
    const actual = await vi.importActual<typeof import('node:crypto')>('node:crypto');
    const refuseRaw =
      <Arguments extends readonly unknown[], Result>(make: (...input: Arguments) => Result) =>
      (...input: Arguments): Result => {
        if (JSON.stringify(input).includes('"raw-')) throw new TypeError('Unknown format');
        return make(...input);
      };
    return {
      ...actual,
      hash: undefined,
      generateKeyPairSync: (type: 'x25519') => {
        const pair = actual.generateKeyPairSync(type);
        pair.publicKey.export = refuseRaw(pair.publicKey.export.bind(pair.publicKey)) as typeof pair.publicKey.export;
        pair.privateKey.export = refuseRaw(
          pair.privateKey.export.bind(pair.privateKey),
        ) as typeof pair.privateKey.export;
        return pair;
      },
    };
  });
  const sha2 = await import('../src/sha2.node.ts');
  expect(sha2.hasOneShotHash).toBe(false);
  expect(toHex(sha2.sha256(utf8('abc')))).toBe('0xba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
  const { derExport, x25519Export } = await import('../src/x25519Keys.node.ts');
  expect(x25519Export).toBe(derExport);
  const { engine: older } = await import('../src/engine.node.ts');
  for (const length of [0, 32, 64, 65, 200])
    expect(await older.hmacSha256(new Uint8Array(length).fill(7), utf8('data'))).toEqual(
      await current.hmacSha256(new Uint8Array(length).fill(7), utf8('data')),
    );
  const pair = await older.generateX25519();
  const peer = await current.generateX25519();
  expect(await older.x25519(pair.secretKey, peer.publicKey)).toEqual(
    await current.x25519(peer.secretKey, pair.publicKey),
  );
  const copy = new SecretBytes(fromHex(toHex(pair.secretKey.reveal())));
  expect(await older.x25519PublicKey(copy)).toEqual(pair.publicKey);
});
