import { SecretBytes } from '@cloister/crypto';
import { bls12_381_Fr as Fr } from '@noble/curves/bls12-381.js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { evaluateAt, parseScalar, randomScalar, scalarFromWide, weightedSum } from '../src/shared/secretScalar.ts';

// Against noble's field over BigInt: another implementation of the same numbers.
const order = Fr.ORDER;
const edge = fc.constantFrom(0n, 1n, 2n, order - 1n, order - 2n, order >> 1n, 2n ** 255n % order, 0xffffn);
const number = fc.oneof(edge, fc.bigInt({ min: 0n, max: order - 1n }));
const secret = (value: bigint): SecretBytes => new SecretBytes(bytesOf(value, 32));
const numberOf = (scalar: SecretBytes): bigint => BigInt(`0x${Buffer.from(scalar.reveal()).toString('hex')}`);

function bytesOf(value: bigint, length: number): Uint8Array {
  return new Uint8Array(Buffer.from(value.toString(16).padStart(length * 2, '0'), 'hex'));
}

describe('numbers modulo the group order', () => {
  test('a weighted sum is what another implementation computes', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(
            number,
            fc.oneof(
              number,
              number.map((n) => -n),
            ),
          ),
          { maxLength: 8 },
        ),
        (terms) => {
          const sum = weightedSum(
            terms.map(([value]) => secret(value)),
            terms.map(([, weight]) => weight),
          );
          expect(numberOf(sum)).toBe(terms.reduce((all, [value, weight]) => Fr.create(all + value * weight), 0n));
        },
      ),
      { numRuns: 500 },
    );
  });

  test('a polynomial at a point', () => {
    fc.assert(
      fc.property(fc.array(number, { minLength: 1, maxLength: 12 }), fc.integer({ min: 1, max: 255 }), (terms, x) => {
        const expected = terms.reduceRight((sum, term) => Fr.create(sum * BigInt(x) + term), 0n);
        expect(numberOf(evaluateAt(terms.map(secret), x))).toBe(expected);
      }),
      { numRuns: 200 },
    );
  });

  test('48 bytes are reduced', () => {
    const wide = fc.oneof(fc.constantFrom(0n, order, order * order, 2n ** 384n - 1n), fc.bigInt(0n, 2n ** 384n - 1n));
    fc.assert(
      fc.property(wide, (value) => {
        const reduced = value >> 384n === 0n ? value : value & (2n ** 384n - 1n);
        expect(numberOf(scalarFromWide(bytesOf(reduced, 48)))).toBe(reduced % order);
      }),
      { numRuns: 500 },
    );
    expect(() => scalarFromWide(new Uint8Array(47))).toThrow(expect.objectContaining({ code: 'SCALAR_INVALID' }));
  });

  test.each([0n, order, order + 1n, 2n ** 256n - 1n])('%i is refused from outside', (value) => {
    expect(() => parseScalar(bytesOf(value, 32))).toThrow(expect.objectContaining({ code: 'SCALAR_INVALID' }));
  });

  test('other lengths are refused from outside, 1 and r − 1 are taken', () => {
    for (const length of [0, 31, 33])
      expect(() => parseScalar(new Uint8Array(length).fill(1))).toThrow(
        expect.objectContaining({ code: 'SCALAR_INVALID' }),
      );
    for (const value of [1n, order - 1n]) expect(numberOf(parseScalar(bytesOf(value, 32)))).toBe(value);
  });

  test('random numbers differ, lie within the order and do not print', () => {
    const all = Array.from({ length: 64 }, randomScalar);
    expect(new Set(all.map(numberOf)).size).toBe(64);
    for (const scalar of all) expect(numberOf(scalar) > 0n && numberOf(scalar) < order).toBe(true);
    expect(`${all[0]}${JSON.stringify(all[0])}`).toBe('[secret]"[secret]"');
  });
});
