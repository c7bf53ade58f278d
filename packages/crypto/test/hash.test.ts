import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { concatBytes, fromHex, toHex, utf8 } from '../src/bytes.ts';
import * as fast from '../src/fastKeccak.node.ts';
import * as portable from '../src/hash.ts';
import { hkdfExpand, hkdfExtract } from '../src/hkdf.ts';

describe('keccak256', () => {
  test('has the EVM padding', () => {
    expect(toHex(portable.keccak256(new Uint8Array(0)))).toBe(
      '0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470',
    );
    expect(toHex(portable.keccak256(utf8('Transfer(address,address,uint256)')))).toBe(
      '0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef',
    );
  });

  test('the fast one is equal, whole and in interleaved parts', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 6 }), (parts) => {
        const expected = portable.keccak256(concatBytes(...parts));
        expect(fast.keccak256(concatBytes(...parts))).toEqual(expected);
        const streams = [fast.keccak256Stream(), fast.keccak256Stream(), portable.keccak256Stream()];
        for (const part of parts) for (const stream of streams) stream.update(part);
        for (const stream of streams) expect(stream.digest()).toEqual(expected);
      }),
    );
  });

  test.each([fast, portable])('an ended stream is refused', ({ keccak256Stream }) => {
    const stream = keccak256Stream();
    stream.digest();
    expect(() => stream.update(new Uint8Array(1))).toThrow(expect.objectContaining({ code: 'HASH_ENDED' }));
    expect(() => stream.digest()).toThrow(expect.objectContaining({ code: 'HASH_ENDED' }));
  });
});

describe('hkdf', () => {
  test('RFC 5869 appendix A.1', async () => {
    const key = await hkdfExtract(fromHex('000102030405060708090a0b0c'), new Uint8Array(22).fill(0x0b));
    expect(toHex(key)).toBe('0x077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5');
    expect(toHex(await hkdfExpand(key, fromHex('f0f1f2f3f4f5f6f7f8f9'), 42))).toBe(
      '0x3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865',
    );
  });

  test('impossible lengths are refused', async () => {
    for (const length of [0, -1, 1.5, 8161, Number.NaN])
      await expect(hkdfExpand(new Uint8Array(32), new Uint8Array(0), length)).rejects.toMatchObject({
        code: 'INVALID_LENGTH',
      });
  });
});
