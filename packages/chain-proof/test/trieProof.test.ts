import { keccak256, toHex } from '@cloister/crypto';
import { createMerkleProof, createMPT, type MerklePatriciaTrie } from '@ethereumjs/mpt';
import * as fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { encodeRlp, type RlpItem } from '../src/rlp.ts';
import { emptyTrieRoot, provenValue } from '../src/trieProof.ts';

/** Entries of the trie that another implementation makes, in which proofs are tried. */
const entries = 400;
const keyOf = (index: number) => keccak256(Uint8Array.of(index >> 8, index & 0xff));
const valueOfIndex = (index: number) => encodeRlp(Uint8Array.of(1, index >> 8, index & 0xff));

let trie: MerklePatriciaTrie;
beforeAll(async () => {
  trie = await createMPT();
  for (let index = 0; index < entries; index += 1) await trie.put(keyOf(index), valueOfIndex(index));
});
const proofOf = (index: number) => createMerkleProof(trie, keyOf(index));

describe('a proof made by another implementation', () => {
  test('gives what the trie has under each key, and nothing for those that it has not', async () => {
    for (let index = 0; index < entries; index += 1)
      expect(hexOf(provenValue(trie.root(), keyOf(index), await proofOf(index)))).toBe(toHex(valueOfIndex(index)));
    for (let index = entries; index < entries + 200; index += 1)
      expect(provenValue(trie.root(), keyOf(index), await proofOf(index))).toBeUndefined();
  });

  test('holds in tries of every small size', async () => {
    for (let size = 1; size < 40; size += 1) {
      const small = await createMPT();
      for (let index = 0; index < size; index += 1) await small.put(keyOf(index), valueOfIndex(index));
      for (let index = 0; index < size + 10; index += 1) {
        const found = provenValue(small.root(), keyOf(index), await createMerkleProof(small, keyOf(index)));
        expect(hexOf(found)).toBe(index < size ? toHex(valueOfIndex(index)) : undefined);
      }
    }
  });

  test('goes through extensions, and shows that a key leaves one', async () => {
    const deep = await createMPT();
    const near = keysThatShare(0x5a, 7);
    for (const [index, key] of near.entries()) await deep.put(key, valueOfIndex(index));
    for (const [index, key] of near.entries())
      expect(hexOf(provenValue(deep.root(), key, await createMerkleProof(deep, key)))).toBe(toHex(valueOfIndex(index)));
    const elsewhere = keyOf(1);
    expect(provenValue(deep.root(), elsewhere, await createMerkleProof(deep, elsewhere))).toBeUndefined();
  });

  test('reads nodes that stand in their parents', async () => {
    // Two keys that differ in their last nibble: their leaves are shorter than a hash.
    const [left, right] = [new Uint8Array(32).fill(0x11), new Uint8Array(32).fill(0x11)];
    right[31] = 0x12;
    const twins = await createMPT();
    await twins.put(left, Uint8Array.of(5));
    await twins.put(right, Uint8Array.of(6));
    const proof = await createMerkleProof(twins, left);
    expect(hexOf(provenValue(twins.root(), left, proof))).toBe('0x05');
    expect(hexOf(provenValue(twins.root(), right, await createMerkleProof(twins, right)))).toBe('0x06');
    expect(proof.length).toBeGreaterThan(1);
    expect(hexOf(provenValue(twins.root(), left, proof.slice(0, 1)))).toBe('0x05');
    const foreign = proof.with(-1, encodeRlp([Uint8Array.of(0x20), Uint8Array.of(7)]));
    expect(() => provenValue(twins.root(), left, foreign)).toThrow(/nodes follow/);
  });
});

describe('refused as CHAIN_PROOF_INVALID is', () => {
  const refused = (root: Uint8Array, key: Uint8Array, nodes: readonly Uint8Array[], why = '') =>
    expect(() => provenValue(root, key, nodes)).toThrow(
      expect.objectContaining({ code: 'CHAIN_PROOF_INVALID', message: expect.stringContaining(why) }),
    );

  test('a proof with a node too few, too many, twice, or in another order', async () => {
    for (const index of [0, 1, 2, entries, entries + 1]) {
      const nodes = await proofOf(index);
      expect(nodes.length).toBeGreaterThan(1);
      for (let at = 0; at < nodes.length; at += 1) {
        refused(trie.root(), keyOf(index), nodes.toSpliced(at, 1));
        refused(trie.root(), keyOf(index), nodes.toSpliced(at, 0, nodes[at] as Uint8Array));
      }
      refused(trie.root(), keyOf(index), nodes.toReversed());
      refused(trie.root(), keyOf(index), [...nodes, Uint8Array.of(0x80)]);
      refused(trie.root(), keyOf(index), []);
    }
  });

  test('a proof of another key, and one below another root', async () => {
    const nodes = await proofOf(3);
    for (const other of [4, 5, 6, 7, entries]) refused(trie.root(), keyOf(other), nodes);
    refused(keccak256(Uint8Array.of(9)), keyOf(3), nodes);
    refused(emptyTrieRoot, keyOf(3), nodes);
  });

  test('any change of any bit of any node', async () => {
    const nodes = await proofOf(11);
    await fc.assert(
      fc.property(fc.nat({ max: nodes.length - 1 }), fc.nat(), fc.nat({ max: 7 }), (which, at, bit) => {
        const node = Uint8Array.from(nodes[which] as Uint8Array);
        node[at % node.length] = (node[at % node.length] as number) ^ (1 << bit);
        refused(trie.root(), keyOf(11), nodes.with(which, node));
      }),
      { numRuns: 300 },
    );
  });

  test('absence that is claimed of what is there, by nodes that would show it of nothing', async () => {
    const nodes = await proofOf(12);
    refused(trie.root(), keyOf(12), nodes.slice(0, -1));
    refused(trie.root(), keyOf(12), [Uint8Array.of(0x80)]);
  });

  test('more nodes than a key has nibbles, and a key that is no hash', () => {
    refused(trie.root(), keyOf(1), Array(66).fill(Uint8Array.of(0x80)), 'there are "66" nodes');
    refused(trie.root(), keyOf(1), Array(65).fill(Uint8Array.of(0x80)), 'a node is not');
    refused(trie.root(), Uint8Array.of(1), [], 'a key has "1" bytes');
  });

  test('nodes of a trie that has none', () => {
    for (const nodes of [
      [Uint8Array.of(0x81)],
      [Uint8Array.of(0x80), Uint8Array.of(0x80)],
      [Uint8Array.of(0x81), Uint8Array.of(0x80)],
    ])
      refused(emptyTrieRoot, keyOf(1), nodes, 'nodes of a trie that has none');
  });

  const key = new Uint8Array(32).fill(0x11);
  const leafPath = Uint8Array.of(0x20, ...key);
  const branch = (fill: Record<number, RlpItem>) =>
    Array.from({ length: 17 }, (_, index) => fill[index] ?? new Uint8Array());
  const hashOfNode = (node: RlpItem) => keccak256(encodeRlp(node));
  test.each<[string, RlpItem, RlpItem[], string]>([
    ['a string', Uint8Array.of(1, 2, 3), [], 'a node is neither'],
    ['a string of two bytes', Uint8Array.of(1, 2), [], 'a node is neither'],
    ['a list of three', [leafPath, Uint8Array.of(1), Uint8Array.of(1)], [], 'a node is neither'],
    ['a leaf without a path', [new Uint8Array(), Uint8Array.of(1)], [], 'a path is malformed'],
    ['a leaf with a list for its path', [[leafPath], Uint8Array.of(1)], [], 'a path is malformed'],
    ['a leaf without a value', [leafPath, new Uint8Array()], [], 'a leaf holds no value'],
    ['a leaf with a list for its value', [leafPath, [Uint8Array.of(1)]], [], 'a leaf holds no value'],
    ['a leaf with an empty list for its value', [leafPath, []], [], 'a leaf holds no value'],
    ['a leaf that ends early', [leafPath.slice(0, -1), Uint8Array.of(1)], [], 'a leaf ends at the wrong depth'],
    [
      'a leaf that ends late',
      [Uint8Array.of(...leafPath, 0x11), Uint8Array.of(1)],
      [],
      'a leaf ends at the wrong depth',
    ],
    ['a path with an unknown flag', [Uint8Array.of(0x40, ...key), Uint8Array.of(1)], [], 'a path is malformed'],
    [
      'a path with padding that is not zero',
      [Uint8Array.of(0x21, ...key), Uint8Array.of(1)],
      [],
      'a path is malformed',
    ],
    [
      'an extension without a path',
      [Uint8Array.of(0x00), hashOfNode(branch({}))],
      [branch({})],
      'an extension has no path',
    ],
    [
      'an extension as long as the key',
      [Uint8Array.of(0x00, ...key), hashOfNode(branch({}))],
      [branch({})],
      'an extension leads beyond the key',
    ],
    [
      'an extension beyond the key',
      [Uint8Array.of(0x00, ...key, 0x11), hashOfNode(branch({}))],
      [branch({})],
      'an extension leads beyond the key',
    ],
    [
      'an extension that stands in its parent and leads to another',
      [Uint8Array.of(0x11), [Uint8Array.of(0x11), new Uint8Array(32)]],
      [],
      'an extension leads to no branch',
    ],
    [
      'an extension to a leaf',
      [Uint8Array.of(0x11), hashOfNode([leafPath, Uint8Array.of(1)])],
      [[leafPath, Uint8Array.of(1)]],
      'an extension leads to no branch',
    ],
    ['a branch with a value', branch({ 16: Uint8Array.of(1) }), [], 'a branch holds a value'],
    ['a branch with an empty list for its value', branch({ 16: [] }), [], 'a branch holds a value'],
    ['a branch with an empty list for a child', branch({ 1: [] }), [], 'a node is neither'],
    [
      'a branch where the key has ended',
      [Uint8Array.of(0x11, ...key.slice(0, 31)), branch({ 1: branch({}) })],
      [],
      'a path is longer than the key',
    ],
    ['a branch with a short hash', branch({ 1: new Uint8Array(31).fill(1) }), [], 'a node\'s hash has "31" bytes'],
    ['a node of more bytes than one has', branch({ 2: new Uint8Array(1_003) }), [], 'a node has "1025" bytes'],
    [
      'one of as many as one may have, for what it is',
      branch({ 1: new Uint8Array(1_002) }),
      [],
      'hash has "1002" bytes',
    ],
  ])('%s', (_, node, others, why) => {
    refused(hashOfNode(node), key, [node, ...others].map(encodeRlp), why);
  });
});

test('a trie without entries proves that nothing is there', () => {
  expect(toHex(emptyTrieRoot)).toBe('0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421');
  expect(provenValue(emptyTrieRoot, keyOf(1), [])).toBeUndefined();
  expect(provenValue(emptyTrieRoot, keyOf(1), [Uint8Array.of(0x80)])).toBeUndefined();
});

/** Keys that begin alike, so that a trie of them has an extension above its first branch. */
function keysThatShare(first: number, count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, index) => {
    const key = keyOf(index);
    key.fill(first, 0, 3);
    return key;
  });
}

function hexOf(bytes: Uint8Array | undefined): string | undefined {
  return bytes === undefined ? undefined : toHex(bytes);
}
