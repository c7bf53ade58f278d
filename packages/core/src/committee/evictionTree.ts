import { keccak256, toHex } from '@cloister/crypto';
import { abiEncodeWords, type Keccak256 } from '../abi.ts';
import { CloisterError } from '../errors.ts';
import { type Address, type Bytes32, isHexOf, zeroAddress } from '../hex.ts';
import { holdsLeaf, type MerkleTree, maxMerkleProof, merkleProof, merkleTree } from '../merkle.ts';
import * as z from '../schema.ts';

/** Two neighbours in the sorted list of evicted signers: whoever lies between them is not in it. */
export type SignerGap = { readonly lo: Address; readonly hi: Address };

/** That a signer is not in the list: the gap that it lies in, and this leaf's siblings up to the root. */
export type AbsenceProof = SignerGap & { readonly siblings: readonly Bytes32[] };

/** The gaps between signers that were evicted for cause and whose leases would still run, ends 0 and 2^160 − 1. */
export type EvictionTree = {
  readonly root: Bytes32;
  /** Ascending; one more than there are signers. */
  readonly gaps: readonly SignerGap[];
  readonly tree: MerkleTree;
};

const lastAddress: Address = `0x${'f'.repeat(40)}`;
/** Signers in one tree. */
export const maxEvictedSigners = 65_536;

/** The tree over evicted signers in any order, one named twice counting once. Throws EVICTION_SIGNER_INVALID, EVICTIONS_TOO_MANY. */
export function evictionTreeOf(signers: Iterable<Address>, keccak: Keccak256 = keccak256): EvictionTree {
  const sorted = [...new Set(Array.from(signers, (signer) => assertSigner(signer)))].sort();
  if (sorted.length > maxEvictedSigners)
    throw new EvictionTreeError(
      'EVICTIONS_TOO_MANY',
      `Expected at most "${maxEvictedSigners}" signers, got "${sorted.length}"`,
    );
  const gaps = [...sorted, lastAddress].map((hi, index) => ({ lo: sorted[index - 1] ?? zeroAddress, hi }));
  const tree = merkleTree(
    gaps.map((gap) => gapLeaf(gap, keccak)),
    keccak,
  );
  return { root: tree.root, gaps, tree };
}

/** The leaf of a gap: keccak256(abi.encode(lo, hi)). */
export function gapLeaf({ lo, hi }: SignerGap, keccak: Keccak256 = keccak256): Bytes32 {
  return toHex(keccak(abiEncodeWords(lo, hi)));
}

/** Proves that a signer was not evicted; undefined where it was. Throws EVICTION_SIGNER_INVALID. */
export function absenceProof({ gaps, tree }: EvictionTree, signer: Address): AbsenceProof | undefined {
  const sought = assertSigner(signer);
  let [from, to] = [0, gaps.length - 1];
  while (from < to) {
    const middle = (from + to) >> 1;
    if ((gaps[middle] as SignerGap).hi < sought) from = middle + 1;
    else to = middle;
  }
  const gap = gaps[from] as SignerGap;
  return gap.hi === sought ? undefined : { ...gap, siblings: merkleProof(tree, from) };
}

/** Whether the proof shows, under the root, that this signer was not evicted. False for a proof of any other form. */
export function provesAbsence(root: Bytes32, signer: Address, { lo, hi, siblings }: AbsenceProof): boolean {
  const isOrdered = [lo, signer, hi].every(isPlainAddress) && lo < signer && signer < hi;
  return isOrdered && holdsLeaf(root, gapLeaf({ lo, hi }), siblings);
}

const absenceProofJson = z.strictObject({
  lo: z.address,
  hi: z.address,
  siblings: z.array(z.bytes32).check(z.refineArray(0, maxMerkleProof)),
});

/** Reads a proof of absence. Throws SchemaError. */
export function parseAbsenceProof(json: unknown): AbsenceProof {
  return z.parseWith(absenceProofJson, json, 'proof of absence') as AbsenceProof;
}

/** The ends themselves are nobody's signer. */
function assertSigner(signer: Address): Address {
  if (isPlainAddress(signer) && signer !== zeroAddress && signer !== lastAddress) return signer;
  throw new EvictionTreeError(
    'EVICTION_SIGNER_INVALID',
    `Expected the address of a signer in lower case, got "${String(signer).slice(0, 80)}"`,
  );
}

function isPlainAddress(value: Address): boolean {
  return isHexOf(value, 20) && value === value.toLowerCase();
}

export class EvictionTreeError extends CloisterError<'EVICTION_SIGNER_INVALID' | 'EVICTIONS_TOO_MANY'> {
  override readonly name = 'EvictionTreeError';
  constructor(code: EvictionTreeError['code'], message: string) {
    super({ code, message });
  }
}
