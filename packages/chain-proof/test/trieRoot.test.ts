import { keccak256, toHex } from '@cloister/crypto';
import { createMPT } from '@ethereumjs/mpt';
import { RLP } from '@ethereumjs/rlp';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { bloomMayHold } from '../src/bloom.ts';
import { emptyTrieRoot, listTrieRoot } from '../src/index.ts';

async function rootByAnother(values: readonly Uint8Array[]): Promise<string> {
  const trie = await createMPT();
  for (const [index, value] of values.entries()) await trie.put(RLP.encode(index), value);
  return toHex(trie.root());
}

test('a list’s trie has the root that another implementation gives, for every small length and around 128 and 256', async () => {
  expect(listTrieRoot([])).toEqual(emptyTrieRoot);
  for (const length of [
    ...Array.from({ length: 40 }, (_, index) => index + 1),
    127,
    128,
    129,
    130,
    255,
    256,
    257,
    300,
  ]) {
    const values = Array.from({ length }, (_, index) => keccak256(Uint8Array.of(index >> 8, index & 0xff)));
    expect(toHex(listTrieRoot(values)), `length ${length}`).toBe(await rootByAnother(values));
  }
});

test('also where nodes are so short that they stand in their parents', async () => {
  const values = fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { minLength: 1, maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(values, async (list) => {
      expect(toHex(listTrieRoot(list))).toBe(await rootByAnother(list));
    }),
  );
});

test('a bloom holds what was put in, by the bits that the Yellow Paper sets, and nothing where it is empty', () => {
  const item = Uint8Array.from([1, 2, 3]);
  const hash = keccak256(item);
  const bloom = new Uint8Array(256);
  expect(bloomMayHold(bloom, item)).toBe(false);
  for (const at of [0, 2, 4]) {
    const bit = (((hash[at] as number) << 8) + (hash[at + 1] as number)) & 0x7ff;
    expect(bloomMayHold(bloom, item)).toBe(false);
    const place = 255 - Math.floor(bit / 8);
    bloom[place] = (bloom[place] as number) | (1 << (bit % 8));
  }
  expect(bloomMayHold(bloom, item)).toBe(true);
  expect(bloomMayHold(bloom, Uint8Array.from([9, 9, 9]))).toBe(false);
});
