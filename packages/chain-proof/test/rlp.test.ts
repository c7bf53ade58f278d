import { fromHex, toHex } from '@cloister/crypto';
import { RLP } from '@ethereumjs/rlp';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeRlp, encodeRlp, integerBytes, integerOf, type RlpItem } from '../src/rlp.ts';

const bytes = fc.uint8Array({ maxLength: 80 });
const { item } = fc.letrec<{ item: RlpItem }>((tie) => ({
  item: fc.oneof({ maxDepth: 5 }, bytes, fc.array(tie('item'), { maxLength: 20 })),
}));

describe('RLP', () => {
  test('is written and read as another implementation does', () => {
    fc.assert(
      fc.property(item, (value) => {
        const encoded = encodeRlp(value);
        expect(toHex(encoded)).toBe(toHex(RLP.encode(value as never)));
        expect(plain(decodeRlp(encoded))).toEqual(plain(value));
      }),
    );
  });

  test('that is cut, extended or changed is refused, or is another value that is written so', () => {
    fc.assert(
      fc.property(item, fc.nat(), fc.nat({ max: 255 }), (value, at, byte) => {
        const encoded = encodeRlp(value);
        expect(codeOf(() => decodeRlp(encoded.subarray(0, -1)))).toBe('CHAIN_PROOF_INVALID');
        expect(codeOf(() => decodeRlp(Uint8Array.of(...encoded, byte)))).toBe('CHAIN_PROOF_INVALID');
        const changed = Uint8Array.from(encoded);
        changed[at % changed.length] = byte;
        try {
          expect(toHex(encodeRlp(decodeRlp(changed)))).toBe(toHex(changed));
        } catch (error) {
          expect(error).toMatchObject({ code: 'CHAIN_PROOF_INVALID' });
        }
      }),
    );
  });

  test.each([
    ['nothing', '0x', 'it ends early'],
    ['a byte the long way', '0x8101', 'a byte is written the long way'],
    ['the last byte that is its own encoding the long way', '0x817f', 'a byte is written the long way'],
    ['a short string the long way', '0xb80161', 'a length is written the long way'],
    ['the longest short string the long way', `0xb837${'61'.repeat(55)}`, 'a length is written the long way'],
    ['a length with a leading zero', `0xb90040${'61'.repeat(64)}`, 'a length is written the long way'],
    ['a length of five bytes', `0xbc0100000000${'61'.repeat(8)}`, 'a length is too long'],
    ['a length of four bytes that are not there', '0xbb010000', 'a length is too long'],
    ['a length beyond the end', '0xb9ffff00', 'it ends early'],
    ['a string that is a byte short', '0x826', 'it ends early'],
    ['a short list the long way', '0xf80161', 'a length is written the long way'],
    ['an item that is longer than its list', '0xc28261', 'it ends early'],
    ['an item that goes on behind its list', '0xc3c28261ff', 'it ends early'],
    ['what follows an item', '0x6161', '"1" bytes follow'],
    ['lists too deep', `0xc9c8c7c6c5c4c3c2c1c0`, 'lists stand more than "8" deep'],
  ])('refuses %s, and says why', (_, hex, why) => {
    const digits = hex.length % 2 === 0 ? hex : `${hex}1`;
    expect(() => decodeRlp(fromHex(digits as `0x${string}`))).toThrow(
      expect.objectContaining({ code: 'CHAIN_PROOF_INVALID', message: `Malformed RLP: ${why}` }),
    );
  });

  test('reads what is just within bounds: a byte of 0x80, 55 and 56 bytes, lists eight deep, four bytes of length', () => {
    for (const value of [Uint8Array.of(0x80), new Uint8Array(55).fill(7), new Uint8Array(56).fill(7)])
      expect(plain(decodeRlp(encodeRlp(value)))).toBe(toHex(value));
    expect(() => decodeRlp(fromHex('0xc7c6c5c4c3c2c1c0'))).not.toThrow();
    // Four bytes of length that hold a length which takes all four.
    const long = new Uint8Array(0x1000000).fill(7);
    expect((decodeRlp(encodeRlp(long)) as Uint8Array).length).toBe(long.length);
  });

  test('has numbers without leading zeros', () => {
    for (const value of [0n, 1n, 127n, 128n, 255n, 256n, 2n ** 256n - 1n])
      expect(integerOf(decodeRlp(encodeRlp(integerBytes(value))), 32)).toBe(value);
    for (const [wrong, why] of [
      [Uint8Array.of(0), 'a number begins with zero'],
      [Uint8Array.of(0, 1), 'a number begins with zero'],
      [new Uint8Array(33).fill(1), 'a number has "33" bytes'],
      [[], 'a list stands where a number belongs'],
      [undefined, 'a list stands where a number belongs'],
    ] as const)
      expect(() => integerOf(wrong, 32)).toThrow(
        expect.objectContaining({ code: 'CHAIN_PROOF_INVALID', message: `Malformed RLP: ${why}` }),
      );
    expect(integerOf(new Uint8Array(32).fill(1), 32)).toBe(BigInt(`0x${'01'.repeat(32)}`));
  });
});

function plain(value: RlpItem): unknown {
  return value instanceof Uint8Array ? toHex(value) : value.map(plain);
}

function codeOf(work: () => unknown): unknown {
  try {
    work();
    return 'passed';
  } catch (error) {
    return (error as { readonly code?: unknown }).code;
  }
}
