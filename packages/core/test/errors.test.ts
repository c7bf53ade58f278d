import { asAddress, asBytes32, CloisterError, describeError, isHexOf } from '@cloister/core';
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
