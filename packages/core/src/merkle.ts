import { concatBytes, fromHex, keccak256, toHex } from '@cloister/crypto';
import type { Keccak256 } from './abi.ts';
import { CloisterError } from './errors.ts';
import { type Bytes32, zeroBytes32 } from './hex.ts';

/**
 * A Merkle tree over hashes. Neighbours are paired from the left; a node is keccak256(0x01 ‖ smaller ‖ larger) of its two, and a
 * last one without neighbour goes up as it is. The tree of no leaves has the root zero, that of one leaf this leaf.
 *
 * A leaf is the keccak256 of whole ABI words, a node that of 65 bytes: no node passes for a leaf. As the two of a node are put in
 * order, a proof says nothing about a leaf's place; so each leaf must say itself what it is about.
 */
export type MerkleTree = {
  readonly root: Bytes32;
  /** From the leaves up to the root. */
  readonly levels: readonly (readonly Bytes32[])[];
};

/** Longest proof that is read: of more leaves than any tree has. */
export const maxMerkleProof = 32;
const nodePrefix = Uint8Array.of(1);

/** The tree over leaves in their given order. Throws MERKLE_HASH_MALFORMED. */
export function merkleTree(leaves: readonly Bytes32[], keccak: Keccak256 = keccak256): MerkleTree {
  let level = leaves;
  for (const leaf of leaves) if (!isHash(leaf)) throw new MerkleHashError(leaf);
  const levels = [level];
  while (level.length > 1) {
    const below = level;
    level = Array.from({ length: Math.ceil(below.length / 2) }, (_, index) => {
      const [left, right] = [below[2 * index] as Bytes32, below[2 * index + 1]];
      return right === undefined ? left : nodeOf(left, right, keccak);
    });
    levels.push(level);
  }
  return { root: level[0] ?? zeroBytes32, levels };
}

/** The root alone. Throws MERKLE_HASH_MALFORMED. */
export function merkleRoot(leaves: readonly Bytes32[], keccak: Keccak256 = keccak256): Bytes32 {
  return merkleTree(leaves, keccak).root;
}

/** The siblings from a leaf up to the root. Throws MERKLE_INDEX_OUT_OF_RANGE. */
export function merkleProof({ levels }: MerkleTree, index: number): readonly Bytes32[] {
  const count = levels[0]?.length ?? 0;
  if (!Number.isInteger(index) || index < 0 || index >= count) throw new MerkleIndexError(index, count);
  return levels.flatMap((level, height) => level[Math.floor(index / 2 ** height) ^ 1] ?? []);
}

/** Whether the leaf stands in the tree of this root. False for a proof that is too long or malformed. */
export function holdsLeaf(root: Bytes32, leaf: Bytes32, proof: readonly Bytes32[]): boolean {
  if (proof.length > maxMerkleProof || !isHash(leaf) || !proof.every(isHash)) return false;
  return proof.reduce((node, sibling) => nodeOf(node, sibling, keccak256), leaf) === root;
}

/** Lower-case text of one length has the order of its bytes. */
function nodeOf(one: Bytes32, other: Bytes32, keccak: Keccak256): Bytes32 {
  const [smaller, larger] = one <= other ? [one, other] : [other, one];
  return toHex(keccak(concatBytes(nodePrefix, fromHex(smaller), fromHex(larger))));
}

function isHash(value: Bytes32): boolean {
  return /^0x[0-9a-f]{64}$/.test(value);
}

export class MerkleIndexError extends CloisterError<'MERKLE_INDEX_OUT_OF_RANGE'> {
  override readonly name = 'MerkleIndexError';
  constructor(index: number, count: number) {
    super({
      code: 'MERKLE_INDEX_OUT_OF_RANGE',
      message: `Expected the index of one of "${count}" leaves, got "${index}"`,
      meta: { index, count },
    });
  }
}

export class MerkleHashError extends CloisterError<'MERKLE_HASH_MALFORMED'> {
  override readonly name = 'MerkleHashError';
  constructor(hash: string) {
    super({
      code: 'MERKLE_HASH_MALFORMED',
      message: `Expected a hash of 32 bytes in lower case, got "${String(hash).slice(0, 80)}"`,
    });
  }
}
