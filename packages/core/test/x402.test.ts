import { describe, expect, test } from 'vitest';
import {
  exactPaymentIn,
  exactPaymentToJson,
  maxX402HeaderLength,
  parseX402Header,
  x402HeaderText,
} from '../src/index.ts';

describe('a header of x402', () => {
  test('comes back from its text, which is plain base64', () => {
    for (const value of [{}, { a: 'ü?>~', b: ['~~~', 1, null] }, { text: 'x'.repeat(1_000) }, 'ab', 'abc', 'abcd']) {
      const text = x402HeaderText(value);
      expect(text).toBe(Buffer.from(JSON.stringify(value)).toString('base64'));
      expect(parseX402Header(text, 'the header')).toEqual(value);
    }
  });

  test('may lack its padding', () => {
    expect(parseX402Header('e30', 'the header')).toEqual({});
  });

  test.each(['', '!', 'bm8ganNvbg==', '====', 'e30=e30=', 'A'.repeat(maxX402HeaderLength + 1)])(
    'that is none (%#) is refused by name',
    (text) => {
      expect(() => parseX402Header(text, 'the header')).toThrow(
        expect.objectContaining({ code: 'X402_HEADER_MALFORMED' }),
      );
    },
  );
});

describe("a payment in a receipt's details", () => {
  const payment = { amount: (1n << 256n) - 1n, transaction: `0x${'7a'.repeat(32)}` as const };
  test('comes back from its JSON; where there is none there is none', () => {
    expect(exactPaymentIn({ payment: exactPaymentToJson(payment) })).toEqual(payment);
    expect(exactPaymentIn({ kind: 'function' })).toBeUndefined();
  });

  test.each([
    null,
    {},
    { ...exactPaymentToJson(payment), scheme: 'upto' },
    { ...exactPaymentToJson(payment), amount: -1 },
  ])('is refused where it is malformed (%#)', (wrong) => {
    expect(() => exactPaymentIn({ payment: wrong })).toThrow(expect.objectContaining({ code: 'SCHEMA_MISMATCH' }));
  });
});
