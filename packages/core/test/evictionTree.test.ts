import {
  type AbsenceProof,
  type Address,
  absenceProof,
  evictionTreeOf,
  gapLeaf,
  holdsLeaf,
  maxEvictedSigners,
  maxMerkleProof,
  merkleProof,
  merkleRoot,
  merkleTree,
  parseAbsenceProof,
  provesAbsence,
  zeroBytes32,
} from '@cloister/core';
import { concatBytes, fromHex, keccak256, toHex } from '@cloister/crypto';
import { describe, expect, test } from 'vitest';
import { addr, b32 } from './helpers.ts';

const coded = (code: string) => expect.objectContaining({ code });
const numbered = (value: number): Address => `0x${value.toString(16).padStart(40, '0')}`;

describe('Merkle tree', () => {
  test('every leaf of trees of all shapes is proven, and nothing else', () => {
    for (let count = 1; count <= 17; count += 1) {
      const leaves = Array.from({ length: count }, (_, index) => b32(index + 1));
      const tree = merkleTree(leaves);
      leaves.forEach((leaf, index) => {
        const proof = merkleProof(tree, index);
        expect(holdsLeaf(tree.root, leaf, proof)).toBe(true);
        expect(holdsLeaf(tree.root, b32(0xee), proof)).toBe(false);
        expect(holdsLeaf(tree.root, leaf, [...proof, b32(0xee)])).toBe(false);
        if (proof.length > 0) expect(holdsLeaf(tree.root, leaf, proof.slice(1))).toBe(false);
      });
    }
  });

  test('no leaf, one leaf, three leaves', () => {
    expect(merkleRoot([])).toBe(zeroBytes32);
    expect(merkleRoot([b32(9)])).toBe(b32(9));
    const node = (one: string, other: string) =>
      toHex(keccak256(concatBytes(Uint8Array.of(1), fromHex(one), fromHex(other))));
    const right = node(b32(1), b32(2));
    const [smaller, larger] = [right, b32(3)].sort() as [string, string];
    expect(merkleRoot([b32(2), b32(1), b32(3)])).toBe(node(smaller, larger));
  });

  test('a node is no leaf: its own two do not hash to it without the prefix', () => {
    const tree = merkleTree([b32(1), b32(2)]);
    expect(toHex(keccak256(concatBytes(fromHex(b32(1)), fromHex(b32(2)))))).not.toBe(tree.root);
  });

  test('refuses what is no hash, no place, or too long', () => {
    const tree = merkleTree([b32(1), b32(2)]);
    expect(() => merkleTree(['0x12'])).toThrow(coded('MERKLE_HASH_MALFORMED'));
    expect(() => merkleTree([b32(0xab).toUpperCase() as `0x${string}`])).toThrow(coded('MERKLE_HASH_MALFORMED'));
    for (const index of [-1, 2, 0.5, Number.NaN])
      expect(() => merkleProof(tree, index)).toThrow(coded('MERKLE_INDEX_OUT_OF_RANGE'));
    expect(holdsLeaf(tree.root, b32(1), ['0x02'])).toBe(false);
    expect(holdsLeaf(tree.root, '0x01', [b32(2)])).toBe(false);
    const long = Array.from({ length: maxMerkleProof + 1 }, () => b32(7));
    const top = long.reduce((leaf, sibling) => merkleRoot([leaf, sibling]), b32(1));
    expect(holdsLeaf(top, b32(1), long)).toBe(false);
  });
});

describe('eviction tree', () => {
  const evicted = [addr(0x30), addr(0x10), addr(0x20)];
  const tree = evictionTreeOf(evicted);

  test('whoever is not in it is proven absent, whoever is in it is not', () => {
    for (const signer of [numbered(1), addr(0x0f), addr(0x11), addr(0x25), addr(0x31), addr(0xfe)]) {
      const proof = absenceProof(tree, signer) as AbsenceProof;
      expect(provesAbsence(tree.root, signer, proof), signer).toBe(true);
      expect(parseAbsenceProof(JSON.parse(JSON.stringify(proof)))).toEqual(proof);
      for (const other of evicted) expect(provesAbsence(tree.root, other, proof)).toBe(false);
    }
    for (const signer of evicted) expect(absenceProof(tree, signer)).toBeUndefined();
  });

  test('the order of the signers, and one named twice, change nothing', () => {
    expect(evictionTreeOf([...evicted].reverse().concat(evicted)).root).toBe(tree.root);
  });

  test('nobody evicted: one gap over all', () => {
    const empty = evictionTreeOf([]);
    expect(empty.root).toBe(gapLeaf({ lo: addr(0), hi: addr(0xff) }));
    expect(provesAbsence(empty.root, addr(0x20), absenceProof(empty, addr(0x20)) as AbsenceProof)).toBe(true);
  });

  test('a proof of another list, of a gap that is not there, or bent', () => {
    const proof = absenceProof(tree, addr(0x15)) as AbsenceProof;
    const before = evictionTreeOf([addr(0x30)]);
    const stale = absenceProof(before, addr(0x20)) as AbsenceProof;
    expect(provesAbsence(tree.root, addr(0x20), stale)).toBe(false);
    expect(provesAbsence(tree.root, addr(0x20), { ...proof, hi: addr(0x30) })).toBe(false);
    expect(provesAbsence(tree.root, addr(0x15), { ...proof, siblings: proof.siblings.slice(1) })).toBe(false);
    expect(provesAbsence(tree.root, `0x${addr(0xa1).slice(2).toUpperCase()}`, proof)).toBe(false);
  });

  test('hostile forms', () => {
    const proof = absenceProof(tree, addr(0x15)) as AbsenceProof;
    for (const json of [
      null,
      [],
      {},
      { ...proof, more: 1 },
      { ...proof, lo: '0x12' },
      { ...proof, hi: addr(0xab).toUpperCase() },
      { ...proof, siblings: ['0x00'] },
      { ...proof, siblings: Array(maxMerkleProof + 1).fill(b32(1)) },
    ])
      expect(() => parseAbsenceProof(json)).toThrow(coded('SCHEMA_MISMATCH'));
    for (const signer of [addr(0), addr(0xff), '0x12' as Address, addr(0xab).toUpperCase() as Address])
      expect(() => evictionTreeOf([signer])).toThrow(coded('EVICTION_SIGNER_INVALID'));
    expect(() =>
      evictionTreeOf(Array.from({ length: maxEvictedSigners + 1 }, (_, index) => numbered(index + 1))),
    ).toThrow(coded('EVICTIONS_TOO_MANY'));
  });
});
