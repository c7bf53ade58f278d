import type { Hex } from '@cloister/core';
import { fromHex, keccak256, toHex } from '@cloister/crypto';
import { describe, expect, test } from 'vitest';
import { emptyCodeHash, emptyStorageRoot, emptyTrieRoot, provenAccount, provenSlot } from '../../src/index.ts';
import { slotKey } from '../../src/provenAccount.ts';
import { encodeRlp, integerBytes, type RlpItem } from '../../src/rlp.ts';

const address: Hex = `0x${'ab'.repeat(20)}`;

/** A trie of one entry: its only node is the leaf with the whole key. */
function only(key: Uint8Array, value: RlpItem): { readonly root: Hex; readonly nodes: readonly Uint8Array[] } {
  const node = encodeRlp([Uint8Array.of(0x20, ...key), encodeRlp(value)]);
  return { root: toHex(keccak256(node)), nodes: [node] };
}
const accountIn = (value: RlpItem) => {
  const { root, nodes } = only(keccak256(fromHex(address)), value);
  return provenAccount(root, address, nodes);
};
const slotIn = (value: RlpItem) => {
  const { root, nodes } = only(keccak256(fromHex(slotKey(5n))), value);
  return provenSlot(root, 5n, nodes);
};
const hash = fromHex(emptyStorageRoot);
const fields = [integerBytes(3n), integerBytes(10n ** 18n), hash, fromHex(emptyCodeHash)] as const;
const malformed = expect.objectContaining({
  code: 'CHAIN_PROOF_INVALID',
  message: `The account "${address}" is malformed`,
});

describe('an account', () => {
  test('is its four fields', () => {
    expect(accountIn(fields)).toEqual({
      nonce: 3n,
      balance: 10n ** 18n,
      storageRoot: emptyStorageRoot,
      codeHash: emptyCodeHash,
    });
    expect(provenAccount(toHex(emptyTrieRoot), address, [])).toBeUndefined();
  });

  test.each<[string, RlpItem]>([
    ['a string of four bytes', Uint8Array.of(1, 2, 3, 4)],
    ['three fields', fields.slice(0, 3)],
    ['five fields', [...fields, hash]],
    ['a root a byte short', fields.with(2, hash.slice(1))],
    [
      'a root that is a list of as many as a hash has bytes',
      [fields[0], fields[1], Array(32).fill(Uint8Array.of(1)), fields[3]],
    ],
    ['a code hash a byte long', fields.with(3, Uint8Array.of(...hash, 1))],
  ])('of %s is refused as malformed', (_, value) => {
    expect(() => accountIn(value)).toThrow(malformed);
  });

  test('has a nonce of eight bytes at most', () => {
    expect(accountIn(fields.with(0, integerBytes(2n ** 64n - 1n)))?.nonce).toBe(2n ** 64n - 1n);
    expect(() => accountIn(fields.with(0, integerBytes(2n ** 64n)))).toThrow(/a number has "9" bytes/);
  });
});

test('a slot is its word, or zero where there is none', () => {
  expect(slotIn(integerBytes(77n))).toBe(77n);
  expect(provenSlot(toHex(emptyTrieRoot), 5n, [])).toBe(0n);
  expect(() => slotIn(new Uint8Array(33).fill(1))).toThrow(/a number has "33" bytes/);
});
