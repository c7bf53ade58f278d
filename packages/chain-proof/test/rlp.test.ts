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
    ['nothing', '0x'],
    ['a byte the long way', '0x8101'],
    ['a short string the long way', '0xb80161'],
    ['a length with a leading zero', `0xb90040${'61'.repeat(64)}`],
    ['a length of five bytes', '0xbc0000000001'],
    ['a length beyond the end', '0xb9ffff00'],
    ['a short list the long way', '0xf80161'],
    ['an item that is longer than its list', '0xc28261'],
    ['lists too deep', `0xc9c8c7c6c5c4c3c2c1c0`],
  ])('refuses %s', (_, hex) => {
    expect(codeOf(() => decodeRlp(fromHex(hex)))).toBe('CHAIN_PROOF_INVALID');
  });

  test('has numbers without leading zeros', () => {
    for (const value of [0n, 1n, 127n, 128n, 255n, 256n, 2n ** 256n - 1n])
      expect(integerOf(decodeRlp(encodeRlp(integerBytes(value))), 32)).toBe(value);
    for (const wrong of [Uint8Array.of(0), Uint8Array.of(0, 1), new Uint8Array(33).fill(1), [], undefined])
      expect(codeOf(() => integerOf(wrong, 32))).toBe('CHAIN_PROOF_INVALID');
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
