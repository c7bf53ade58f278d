import { abiWord, asAddress, asBytes32, CloisterError, describeError, isHexOf, tickAt } from '@cloister/core';
import { describe, expect, test } from 'vitest';
import { addr, b32 } from './helpers.ts';

class SampleError extends CloisterError<'SAMPLE'> {
  override readonly name = 'SampleError';
}

describe('CloisterError', () => {
  test('says what happened as plain data, without bytes', () => {
    const cause = new Error('below');
    const error = new SampleError({
      code: 'SAMPLE',
      message: 'Expected "a", got "b"',
      hint: 'Give "a"',
      retry: true,
      cause,
      meta: { big: 5n, bytes: new Uint8Array(3), list: [1n], inner: { deep: 7n }, other: new Map() },
    });
    expect(error.cause).toBe(cause);
    expect(JSON.parse(JSON.stringify(error))).toEqual({
      name: 'SampleError',
      code: 'SAMPLE',
      message: 'Expected "a", got "b"',
      hint: 'Give "a"',
      retry: true,
      meta: { big: '5', bytes: '3 bytes', list: ['1'], inner: { deep: '7' }, other: {} },
    });
    expect(new SampleError({ code: 'SAMPLE', message: 'x' }).toJSON()).toEqual({
      name: 'SampleError',
      code: 'SAMPLE',
      message: 'x',
      retry: false,
    });
  });

  test.each<[unknown, string]>([
    [new SampleError({ code: 'SAMPLE', message: 'No', hint: 'Do this' }), 'No. Do this'],
    [new SampleError({ code: 'SAMPLE', message: 'No' }), 'No'],
    [new Error('plain'), 'plain'],
    ['text', 'text'],
    [undefined, 'An unknown value was thrown'],
    [
      {
        toString: () => {
          throw new Error('hostile');
        },
      },
      'An unknown value was thrown',
    ],
  ])('describeError(%#)', (thrown, text) => {
    expect(describeError(thrown)).toBe(text);
  });
});

describe('ABI words', () => {
  test('are integers, addresses and bytes32', () => {
    const word = (value: Parameters<typeof abiWord>[0]) => Buffer.from(abiWord(value)).toString('hex');
    expect(word(1)).toBe('1'.padStart(64, '0'));
    expect(word((1n << 256n) - 1n)).toBe('f'.repeat(64));
    expect(word(addr(0xab))).toBe('ab'.repeat(20).padStart(64, '0'));
    expect(word(b32(0xcd))).toBe('cd'.repeat(32));
  });

  test.each<Parameters<typeof abiWord>[0]>([-1, 1.5, 2 ** 53, -1n, 1n << 256n, '0x12', `0x${'00'.repeat(33)}`])(
    '%s is none',
    (value) => {
      expect(() => abiWord(value)).toThrow(expect.objectContaining({ code: 'ABI_WORD_OUT_OF_RANGE' }));
    },
  );
});

test("the network's clock begins at its genesis", () => {
  expect([99n, 100n, 129n, 130n, 190n].map((at) => tickAt(at, 100n, 30n))).toEqual([0n, 0n, 0n, 1n, 3n]);
});

describe('hexadecimal', () => {
  test('is read in any case and kept in lower case', () => {
    expect(asBytes32(`0x${'AB'.repeat(32)}`)).toBe(b32(0xab));
    expect(asAddress(`0x${'Cd'.repeat(20)}`)).toBe(addr(0xcd));
    expect(isHexOf(b32(1), 32)).toBe(true);
  });

  test.each<unknown>(['', '0x', '0x12', `0x${'0g'.repeat(32)}`, b32(1).slice(2), `${b32(1)}00`, 5, null, undefined])(
    'refuses %j by name',
    (value) => {
      expect(() => asBytes32(value, '--context')).toThrow(/Expected --context to be 0x and 64 hexadecimal digits/);
      expect(() => asAddress(value)).toThrow(expect.objectContaining({ code: 'INVALID_ADDRESS' }));
      expect(isHexOf(value, 32)).toBe(false);
    },
  );
});
