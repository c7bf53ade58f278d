import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { anchoredLeaf, type MerkleTree, merkleProof, merkleTree } from '@cloister/core';
import { directoryLeaf, rewardLeaf } from '@cloister/economics';
import { network } from 'hardhat';
import { type Hex, toHex, zeroHash } from 'viem';

const { viem } = await network.create();
const ours = await viem.deployContract('VectorHarness', []);
const theirs = await viem.deployContract('OpenZeppelinTreeHarness', []);

/** Leaves of every kind that stands in a root on the chain. */
const leafOf = {
  rewards: (index: number) =>
    rewardLeaf({ epoch: 7n, operator: toHex(0x9000 + index, { size: 20 }), amount: BigInt(index + 1) }),
  anchors: (index: number) => anchoredLeaf(toHex(index + 1, { size: 32 })),
  directory: (index: number) =>
    directoryLeaf({
      workerId: toHex(index + 1, { size: 32 }),
      signer: toHex(0x5000 + index, { size: 20 }),
      platformId: zeroHash,
      operator: toHex(0x6000, { size: 20 }),
      vendor: 1,
      stakeFrom: BigInt(index),
      stakeTo: BigInt(index + 1),
    }),
};

const treeOf = (kind: keyof typeof leafOf, count: number): MerkleTree =>
  merkleTree(Array.from({ length: count }, (_, index) => leafOf[kind](index)));
const leafAt = ({ levels }: MerkleTree, index: number): Hex => levels[0]?.[index] ?? zeroHash;

describe('our Merkle trees, by OpenZeppelin', () => {
  for (const kind of ['rewards', 'anchors', 'directory'] as const) {
    it(`its proofs accept every leaf of ${kind} in trees of 1 to 17 leaves, and refuse what ours refuse`, async () => {
      for (let count = 1; count <= 17; count += 1) {
        const tree = treeOf(kind, count);
        for (let index = 0; index < count; index += 1) {
          const [leaf, proof] = [leafAt(tree, index), [...merkleProof(tree, index)]];
          const stranger = leafOf[kind](count);
          for (const [shown, siblings, holds] of [
            [leaf, proof, true],
            [stranger, proof, false],
            [leaf, [...proof, leaf], false],
          ] as const) {
            assert.equal(await theirs.read.accepts([siblings, tree.root, shown]), holds);
            assert.equal(await ours.read.holdsLeaf([tree.root, shown, siblings]), holds);
          }
        }
      }
    });

    it(`its tree over 2, 4, 8 and 16 leaves of ${kind} has our root`, async () => {
      for (const depth of [1, 2, 3, 4]) {
        const tree = treeOf(kind, 2 ** depth);
        const { result } = await theirs.simulate.rootOf([depth, [...(tree.levels[0] ?? [])]]);
        assert.equal(result, tree.root);
      }
    });
  }

  it('with its own node, which has no prefix, nothing of ours passes: neither a leaf nor a node as a leaf', async () => {
    const tree = treeOf('rewards', 4);
    const proof = [...merkleProof(tree, 0)];
    assert.equal(await theirs.read.acceptsPlain([proof, tree.root, leafAt(tree, 0)]), false);
    // A node with the rest of its proof is accepted by either; what keeps it from being a leaf is its preimage.
    const node = tree.levels[1]?.[0] ?? zeroHash;
    assert.equal(await theirs.read.accepts([proof.slice(1), tree.root, node]), true);
    assert.equal(await ours.read.holdsLeaf([tree.root, node, proof.slice(1)]), true);
  });
});
