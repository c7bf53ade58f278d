import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fromBase64Url, toBase64Url } from '../src/base64Url.ts';
import { concatBytes, equalBytes, fromHex, fromUtf8, toHex, utf8 } from '../src/bytes.ts';
import { CryptoError } from '../src/errors.ts';
import { randomBytes } from '../src/random.ts';
import { SecretBytes } from '../src/secretBytes.ts';

describe('text forms', () => {
  test('hex and base64url agree with Buffer and come back', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        expect(toHex(bytes)).toBe(`0x${Buffer.from(bytes).toString('hex')}`);
        expect(fromHex(toHex(bytes).toUpperCase().replace('0X', '0x'))).toEqual(bytes);
        expect(toBase64Url(bytes)).toBe(Buffer.from(bytes).toString('base64url'));
        expect(fromBase64Url(toBase64Url(bytes))).toEqual(bytes);
      }),
    );
  });

  test.each(['0', '0x0', '0xgg', '0x 1', '0x0١', '0x0\u0130', 'é0', '0x-1', '0x+1'])('hex "%s" is refused', (text) => {
    expect(() => fromHex(text)).toThrow(expect.objectContaining({ code: 'INVALID_HEX' }));
  });

  test.each(['A', 'AA==', 'AB', 'AAB', 'A A', '+AAA', '/AAA', 'AAAAA', 'AA\n', 'éAAA'])(
    'base64url "%s" is refused',
    (text) => {
      expect(() => fromBase64Url(text)).toThrow(expect.objectContaining({ code: 'INVALID_BASE64URL' }));
    },
  );

  test('a value has one base64url text', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'ABCDZabz019-_'), maxLength: 12 }), (text) => {
        try {
          expect(toBase64Url(fromBase64Url(text))).toBe(text);
        } catch (error) {
          expect(error).toBeInstanceOf(CryptoError);
        }
      }),
    );
  });

  test('utf-8 is strict both ways and keeps a byte order mark', () => {
    expect(fromUtf8(utf8('\uFEFFgrüße 𝄞'))).toBe('\uFEFFgrüße 𝄞');
    for (const bad of [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xc3]])
      expect(() => fromUtf8(Uint8Array.from(bad))).toThrow(expect.objectContaining({ code: 'INVALID_UTF8' }));
    for (const bad of ['\ud800', 'a\udc00', '\udc00\ud800'])
      expect(() => utf8(bad)).toThrow(expect.objectContaining({ code: 'INVALID_UTF8' }));
  });
});

test('equalBytes and concatBytes', () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.uint8Array(), (a, b) => {
      expect(equalBytes(a, b)).toBe(Buffer.compare(a, b) === 0);
      expect(equalBytes(a, a.slice())).toBe(true);
      expect(concatBytes(a, b)).toEqual(new Uint8Array(Buffer.concat([a, b])));
    }),
  );
});

test('randomBytes gives any length', () => {
  expect(randomBytes(0).length).toBe(0);
  const many = randomBytes(200_000);
  expect(many.length).toBe(200_000);
  expect(many.subarray(199_000).some((byte) => byte !== 0)).toBe(true);
});

describe('SecretBytes', () => {
  test('no text form shows the bytes', () => {
    const secret = new SecretBytes(new Uint8Array(4).fill(0xab));
    for (const text of [
      `${secret}`,
      String(secret),
      JSON.stringify({ secret }),
      inspect(secret),
      inspect({ a: [secret] }, { depth: 9, showHidden: true }),
    ]) {
      expect(text).toContain('[secret]');
      expect(text).not.toMatch(/ab|171/);
    }
    expect(Object.keys(secret)).toEqual([]);
    expect(structuredClone({ ...secret })).toEqual({});
  });

  test('wipe overwrites the bytes themselves', () => {
    const bytes = randomBytes(32);
    const secret = new SecretBytes(bytes);
    secret.wipe();
    expect(bytes.every((byte) => byte === 0)).toBe(true);
    expect(() => secret.reveal()).toThrow(expect.objectContaining({ code: 'SECRET_WIPED' }));
    expect(() => secret.equals(new SecretBytes(new Uint8Array(32)))).toThrow(CryptoError);
  });

  test('equals compares bytes', () => {
    const bytes = randomBytes(16);
    expect(new SecretBytes(bytes).equals(new SecretBytes(bytes.slice()))).toBe(true);
    expect(new SecretBytes(bytes).equals(new SecretBytes(randomBytes(16)))).toBe(false);
  });
});
