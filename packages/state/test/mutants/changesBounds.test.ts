import { describe, expect, test } from 'vitest';
import { maxKeyBytes, maxPartitionKeys, maxValueBytes } from '../../src/limits.ts';
import { type Changes, decodeChanges, encodeChanges, paddedLength } from '../../src/log/changes.ts';
import { bytes } from '../helpers.ts';

const uint = (value: number, length: number) =>
  Array.from({ length }, (_, at) => Math.floor(value / 256 ** (length - 1 - at)) % 256);
const put = (key: string, value: readonly number[]) => [
  1,
  ...uint(bytes(key).length, 2),
  ...bytes(key),
  ...uint(value.length, 4),
  ...value,
];
const remove = (key: string) => [0, ...uint(bytes(key).length, 2), ...bytes(key)];

/** An entry's changes as the format has them, written here and by nothing of what is tested. */
function written(count: number, ...changes: readonly (readonly number[])[]): Uint8Array {
  const content = [...uint(count, 4), ...changes.flat()];
  const all = new Uint8Array(paddedLength(content.length + 4));
  all.set([...uint(content.length, 4), ...content]);
  return all;
}
const refusal = (why: string) =>
  expect.objectContaining({ code: 'STATE_LOG_INVALID', message: `An entry's changes can not be read: ${why}` });

describe('changes', () => {
  test('are written as the format says, by byte', () => {
    const changes: Changes = [
      ['a', Uint8Array.of(7, 8)],
      ['b', undefined],
    ];
    expect(encodeChanges(changes)).toEqual(written(2, put('a', [7, 8]), remove('b')));
    expect(decodeChanges(written(2, put('a', [7, 8]), remove('b')))).toEqual(changes);
    expect(decodeChanges(written(0))).toEqual([]);
  });

  test('fill their padding to the last byte, or have none', () => {
    // 4 + 4 + 1 + 2 + 1 + 4 of form, and a value that makes it 256 bytes in all.
    const full = written(1, put('a', Array(240).fill(7)));
    expect(full).toHaveLength(256);
    expect(decodeChanges(full)).toHaveLength(1);
    expect(() => decodeChanges(full.subarray(0, 255))).toThrow(refusal('its length is another'));
  });

  test('of the longest key and value are read, and of one byte more are not', () => {
    const key = 'k'.repeat(maxKeyBytes);
    expect(decodeChanges(written(1, remove(key)))).toEqual([[key, undefined]]);
    expect(() => decodeChanges(written(1, remove(`${key}k`)))).toThrow(
      refusal(`it has a key of ${maxKeyBytes + 1} bytes`),
    );
    expect(decodeChanges(encodeChanges([['a', new Uint8Array(maxValueBytes)]]))[0]?.[1]).toHaveLength(maxValueBytes);
    expect(() => decodeChanges(encodeChanges([['a', new Uint8Array(maxValueBytes + 1)]]))).toThrow(
      refusal(`it has a value of ${maxValueBytes + 1} bytes`),
    );
  });

  test('may be as many as a partition has keys', () => {
    const all = Array.from({ length: maxPartitionKeys }, (_, at): [string, undefined] => [
      at.toString(16).padStart(6, '0'),
      undefined,
    ]);
    expect(decodeChanges(encodeChanges(all))).toHaveLength(maxPartitionKeys);
    expect(() => decodeChanges(encodeChanges([...all, ['z', undefined]]))).toThrow(
      refusal(`it has ${maxPartitionKeys + 1} changes`),
    );
  });

  const tooLong = written(1, remove('a'));
  tooLong[3] = 253;
  const wrongPadding = written(1, remove('a'));
  wrongPadding[255] = 1;
  test.each<[string, Uint8Array, string]>([
    ['nothing', new Uint8Array(), 'its length is another'],
    ['seven bytes', new Uint8Array(7), 'its length is another'],
    ['zeros', new Uint8Array(256), 'its length is another'],
    ['a length of three', new Uint8Array(256).with(3, 3), 'its length is another'],
    ['a length that goes beyond the end', tooLong, 'its length is another'],
    ['more bytes than there may be', new Uint8Array([...written(0), ...new Uint8Array(256)]), 'its length is another'],
    ['padding that is not zero', wrongPadding, 'its padding is not zero'],
    ['no change where one is said', written(1), 'it ends early'],
    ['a change that ends in its key’s length', written(1, [0, 0]), 'it ends early'],
    ['a key that ends early', written(1, [0, 0, 2, 97]), 'it ends early'],
    ['a value without a length', written(1, [1, 0, 1, 97, 0, 0]), 'it ends early'],
    ['a value that ends early', written(1, [1, 0, 1, 97, 0, 0, 0, 2, 5]), 'it ends early'],
    ['something behind the last', written(1, remove('a'), [0]), 'something follows its last change'],
    ['another kind', written(1, [2, 0, 1, 97]), 'it has a change of kind 2'],
    ['an empty key', written(1, remove('')), 'it has a key of 0 bytes'],
    ['a key that is no text', written(1, [0, 0, 1, 0xff]), 'a key is no text'],
    ['a key twice', written(2, remove('a'), remove('a')), 'its keys are not in order'],
    ['keys out of order', written(2, remove('b'), put('a', [])), 'its keys are not in order'],
  ])('are refused for %s', (_, wrong, why) => {
    expect(() => decodeChanges(wrong)).toThrow(refusal(why));
  });

  test('are padded to the next multiple of 256, and above 4 kB by at most an eighth', () => {
    expect([0, 1, 255, 256, 257, 4_095, 4_096, 4_097, 8_192, 8_193].map(paddedLength)).toEqual([
      0, 256, 256, 256, 512, 4_096, 4_096, 4_608, 8_192, 9_216,
    ]);
  });
});
