import { describe, expect, test } from 'vitest';
import { maxKeyBytes, maxValueBytes } from '../src/limits.ts';
import { type Changes, decodeChanges, encodeChanges, paddedLength } from '../src/log/changes.ts';
import { bytes, code } from './helpers.ts';

const several: Changes = [
  ['', undefined],
  ['a', bytes('1')],
  ['b', undefined],
  ['ü/😀', bytes('x'.repeat(300))],
].slice(1) as unknown as Changes;

describe('changes', () => {
  test.each<[string, Changes]>([
    ['none', []],
    ['several', several],
    ['an empty value', [['a', new Uint8Array()]]],
    ['the longest key and value', [['k'.repeat(maxKeyBytes), new Uint8Array(maxValueBytes).fill(7)]]],
  ])('come back as they were: %s', (_, changes) => {
    expect(decodeChanges(encodeChanges(changes))).toEqual(changes);
  });

  test('of similar size look alike, and cost little more', () => {
    expect([1, 256, 257, 4_096, 4_097, 8_192, 8_193].map(paddedLength)).toEqual([
      256, 256, 512, 4_096, 4_608, 8_192, 9_216,
    ]);
    for (let length = 4_096; length < 10_000_000; length = Math.ceil(length * 1.1))
      expect(paddedLength(length) / length).toBeLessThan(1.13);
    const size = (value: string) => encodeChanges([['a', bytes(value)]]).length;
    expect(size('x')).toBe(size('x'.repeat(200)));
  });

  const encoded = encodeChanges(several);
  const changed = (at: number, byte: number): Uint8Array => encoded.with(at, byte);

  test.each<[string, Uint8Array]>([
    ['nothing', new Uint8Array()],
    ['too few bytes for a length', new Uint8Array(7)],
    ['zeros', new Uint8Array(256)],
    ['a part', encoded.subarray(0, 255)],
    ['more than there may be', new Uint8Array([...encoded, ...new Uint8Array(256)])],
    ['padding that is not zero', changed(encoded.length - 1, 1)],
    ['a length beyond its end', changed(0, 0xff)],
    ['a shorter length', changed(3, 20)],
    ['more changes than there are', changed(7, 4)],
    ['fewer changes than there are', changed(7, 2)],
    ['very many changes', changed(4, 0xff)],
    ['a kind that there is not', changed(8, 2)],
    ['a key of no length', changed(10, 0)],
    ['a key beyond the longest', changed(9, 0xff)],
    ['keys out of order', changed(11, 0x62)],
    ['a value beyond the longest', changed(12, 0xff)],
  ])('in another form are refused: %s', (_, wrong) => {
    expect(() => decodeChanges(wrong)).toThrow(code('STATE_LOG_INVALID'));
  });

  test('with a key that is no text are refused', () => {
    const wrong = encodeChanges([['a', bytes('1')]]);
    wrong[11] = 0xff;
    expect(() => decodeChanges(wrong)).toThrow(code('STATE_LOG_INVALID'));
  });
});
