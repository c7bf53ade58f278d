import { fromHex } from '@cloister/crypto';
import { describe, expect, test } from 'vitest';
import { DerReader, tags } from '../../src/verify/x509/der.ts';
import { messageOf } from './messageOf.ts';

const reader = (hex: string): DerReader => new DerReader(fromHex(hex), 'test');
const zeros = (count: number): string => '00'.repeat(count);

describe('DER is refused for its own reason', () => {
  test.each([
    ['an end before the length', '30', 'MALFORMED_DER at test @ 0: Expected it, got the end'],
    ['an indefinite length', `3080${zeros(128)}`, 'MALFORMED_DER at test @ 0: Expected it with a definite length'],
    [
      'a length of four bytes that is small',
      `308400000080${zeros(128)}`,
      'MALFORMED_DER at test @ 0: Expected it with a definite length',
    ],
    ['a length of four bytes', `3084${zeros(4)}`, 'MALFORMED_DER at test @ 0: Expected it with a definite length'],
    ['a length that is cut', '3082ff', 'MALFORMED_DER at test @ 0: Expected it with a definite length'],
    ['a length up to the end', '3081ff', 'MALFORMED_DER at test @ 0: Expected it to fit, it ends at 258'],
    ['two length bytes for 255', `308200ff${zeros(255)}`, 'MALFORMED_DER at test @ 0: Expected the length of it'],
    ['one length byte for 127', `30817f${zeros(127)}`, 'MALFORMED_DER at test @ 0: Expected the length of it'],
  ])('%s', (_, hex, expected) => {
    expect(messageOf(() => reader(hex).enter(tags.sequence, 'it'))).toContain(expected);
  });

  test('the smallest lengths of each form are read', () => {
    expect(reader(`308180${zeros(128)}`).read(tags.sequence, 'it')).toHaveLength(128);
    expect(reader(`30820100${zeros(256)}`).read(tags.sequence, 'it')).toHaveLength(256);
    expect(reader(`3083010000${zeros(65_536)}`).read(tags.sequence, 'it')).toHaveLength(65_536);
  });

  test('a reader at its end sees no tag, though bytes follow', () => {
    const outer = reader('3003020107020105');
    const inner = outer.enter(tags.sequence, 'it');
    inner.read(tags.integer, 'it');
    expect(inner.peek()).toBeUndefined();
    expect(outer.peek()).toBe(tags.integer);
  });
});

describe('values at their bounds', () => {
  test('an integer of four bytes, and of five', () => {
    expect(reader('020401020304').smallInteger(0x7fffffff, 'it')).toBe(0x01020304);
    expect(messageOf(() => reader('02050000000001').smallInteger(0x7fffffff, 'it'))).toContain('fewest bytes');
    expect(messageOf(() => reader('02050100000000').smallInteger(0x7fffffff, 'it'))).toContain('of 0 to 2147483647');
  });

  test('false, and two bytes that begin as true', () => {
    expect(reader('010100').boolean('it')).toBe(false);
    expect(messageOf(() => reader('0102ff00').boolean('it'))).toContain('to be 00 or FF');
  });

  test('an object identifier of 32 bytes, and of 33', () => {
    expect(reader(`0620${'01'.repeat(32)}`).oid('it')).toBe('01'.repeat(32));
    expect(messageOf(() => reader(`0621${'01'.repeat(33)}`).oid('it'))).toContain('to be an object identifier');
  });

  test('a bit string without bits', () => {
    expect(reader('030100').wholeBits('it')).toHaveLength(0);
  });
});
