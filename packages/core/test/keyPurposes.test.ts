import { readFileSync } from 'node:fs';
import { type KeyPurpose, keyPurposes, keyUseInfo } from '@cloister/core';
import { toHex } from '@cloister/crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

const purposes = Object.keys(keyPurposes) as KeyPurpose[];
const use = { purpose: 'function-key', name: 'main', version: 1 } as const;
const hex = (changes: Partial<Parameters<typeof keyUseInfo>[0]>) => toHex(keyUseInfo({ ...use, ...changes })).slice(2);

describe('what a key is for, as bytes', () => {
  test('of two different uses, neither begins with the other', () => {
    const name = fc.oneof(
      fc.string({ unit: 'binary', minLength: 1, maxLength: 60 }),
      // Names that look like lengths, purposes and versions.
      fc
        .array(fc.constantFrom('\0', '\u0001', '\u0004', 'main', ...purposes, '1', '12'), {
          minLength: 1,
          maxLength: 8,
        })
        .map((parts) => parts.join('')),
    );
    const uses = fc.record({
      purpose: fc.constantFrom(...purposes),
      name,
      version: fc.oneof(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 1, max: 0xffff_ffff })),
    });
    fc.assert(
      fc.property(uses, uses, (left, right) => {
        const [one, two] = [hex(left), hex(right)];
        const same = left.purpose === right.purpose && left.name === right.name && left.version === right.version;
        expect(one === two).toBe(same);
        if (!same) expect(one.startsWith(two) || two.startsWith(one)).toBe(false);
      }),
      { numRuns: 2_000 },
    );
  });

  test('parts that are cut elsewhere are other bytes', () => {
    const pairs = [
      [
        { name: '1', version: 11 },
        { name: '11', version: 1 },
      ],
      [{ name: 'main\0\u0001' }, { name: 'main' }],
      [
        { purpose: 'function-key', name: 'xmain' },
        { purpose: 'container-key', name: 'main' },
      ],
    ] as const;
    for (const [left, right] of pairs) expect(hex(left)).not.toBe(hex(right));
  });

  test('no purpose begins with another, and none reads as the name of a secret', () => {
    for (const one of purposes) {
      for (const other of purposes) if (one !== other) expect(one.startsWith(other)).toBe(false);
      // Secrets are sealed with their name alone as associated data.
      expect(keyUseInfo({ ...use, purpose: one })[0]).toBe(0);
    }
  });

  test('is what vectors/committee.json says', () => {
    const text = readFileSync(new URL('../../../vectors/committee.json', import.meta.url), 'utf8');
    const { keyUses } = JSON.parse(text);
    expect(keyUses).toHaveLength(purposes.length);
    for (const vector of keyUses) {
      expect(toHex(keyUseInfo(vector.use))).toBe(vector.info);
      // Written once more, by hand.
      const parts = [vector.use.purpose, vector.use.name, String(vector.use.version)].map((part) => Buffer.from(part));
      const lengths = parts.map((part) => Buffer.from([0, part.length]));
      expect(`0x${Buffer.concat(parts.flatMap((part, at) => [lengths[at] as Buffer, part])).toString('hex')}`).toBe(
        vector.info,
      );
    }
  });

  test.each<[string, object, string]>([
    ['a purpose that is none', { purpose: 'function' }, 'KEY_PURPOSE_UNKNOWN'],
    ['a purpose of every object', { purpose: 'toString' }, 'KEY_PURPOSE_UNKNOWN'],
    ['no name', { name: '' }, 'KEY_NAME_INVALID'],
    ['a name too long', { name: 'ö'.repeat(128) }, 'KEY_NAME_INVALID'],
    ['half a surrogate pair', { name: '\ud800' }, 'KEY_NAME_INVALID'],
    ['version zero', { version: 0 }, 'KEY_USE_VERSION_INVALID'],
    ['a fraction of a version', { version: 1.5 }, 'KEY_USE_VERSION_INVALID'],
    ['a version beyond 32 bits', { version: 2 ** 32 }, 'KEY_USE_VERSION_INVALID'],
  ])('%s is refused', (_, changes, code) => {
    expect(() => hex(changes)).toThrow(expect.objectContaining({ code }));
  });

  test('the longest name is taken', () => {
    expect(hex({ name: 'x'.repeat(255) })).toContain('00ff78');
  });
});
