import { equalBytes, keccak256, toHex } from '@cloister/crypto';
import { ProofError } from './proofError.ts';
import { decodeRlp, encodeRlp, type RlpItem } from './rlp.ts';

/** A key has 64 nibbles, and each node but the last takes one of them at least. */
const maxNodes = 65;
/** A branch of 16 hashes has 532 bytes, an account's leaf fewer. */
const maxNodeBytes = 1_024;
/** The hash of the empty string in RLP: a trie without entries. */
export const emptyTrieRoot = keccak256(Uint8Array.of(0x80));

/**
 * The value that a state or storage trie has under a key, or undefined where it has none, proven by the nodes from the root on the
 * key's path (Yellow Paper, appendix D; EIP-1186). These must be all the nodes that decide, and no others. Keys have been hashed
 * (32 bytes), so no value stands in a branch. Throws CHAIN_PROOF_INVALID.
 */
export function provenValue(
  root: Uint8Array,
  hashedKey: Uint8Array,
  nodes: readonly Uint8Array[],
): Uint8Array | undefined {
  if (hashedKey.length !== 32) throw refuse(`a key has "${hashedKey.length}" bytes`);
  if (nodes.length > maxNodes) throw refuse(`there are "${nodes.length}" nodes`);
  if (equalBytes(root, emptyTrieRoot)) return absentFromEmpty(nodes);
  const path = nibblesOf(hashedKey);
  const walk = new Walk(nodes);
  let node = walk.byHash(root);
  let depth = 0;
  for (;;) {
    if (node.length === 17) {
      if (!isEmpty(node[16])) throw refuse('a branch holds a value');
      const child = node[path[depth] as number] as RlpItem;
      depth += 1;
      if (isEmpty(child)) return walk.ended(undefined);
      node = walk.child(child, depth, path.length);
      continue;
    }
    const { isLeaf, nibbles } = pathOf(node[0]);
    const fits = nibbles.every((nibble, index) => path[depth + index] === nibble);
    if (isLeaf) {
      // A leaf elsewhere has another length too: only with its whole key can it be what stands in the key's place.
      if (depth + nibbles.length !== path.length) throw refuse('a leaf ends at the wrong depth');
      return walk.ended(fits ? leafValue(node[1]) : undefined);
    }
    if (nibbles.length === 0) throw refuse('an extension has no path');
    if (depth + nibbles.length >= path.length) throw refuse('an extension leads beyond the key');
    if (!fits) return walk.ended(undefined);
    depth += nibbles.length;
    node = walk.child(node[1] as RlpItem, depth, path.length);
    if (node.length !== 17) throw refuse('an extension leads to no branch');
  }
}

/** The nodes of a proof, each taken once and in their order, by the hash that the one before names. */
class Walk {
  readonly #nodes: readonly Uint8Array[];
  #taken = 0;

  constructor(nodes: readonly Uint8Array[]) {
    this.#nodes = nodes;
  }

  byHash(hash: Uint8Array): readonly RlpItem[] {
    const bytes = this.#nodes[this.#taken];
    if (bytes === undefined) throw refuse(`the node "${toHex(hash)}" is missing`);
    if (bytes.length > maxNodeBytes) throw refuse(`a node has "${bytes.length}" bytes`);
    if (!equalBytes(keccak256(bytes), hash)) throw refuse(`a node is not "${toHex(hash)}"`);
    this.#taken += 1;
    return nodeOf(decodeRlp(bytes));
  }

  /** A node is named by its hash, or stands in its parent where it is shorter than one; some RPCs tell it again, some do not. */
  child(reference: RlpItem, depth: number, length: number): readonly RlpItem[] {
    if (depth > length) throw refuse('a path is longer than the key');
    if (!(reference instanceof Uint8Array)) {
      const node = nodeOf(reference);
      const next = this.#nodes[this.#taken];
      if (next !== undefined && equalBytes(next, encodeRlp(node))) this.#taken += 1;
      return node;
    }
    if (reference.length !== 32) throw refuse(`a node's hash has "${reference.length}" bytes`);
    return this.byHash(reference);
  }

  ended<T>(result: T): T {
    if (this.#taken !== this.#nodes.length) throw refuse(`"${this.#nodes.length - this.#taken}" nodes follow the last`);
    return result;
  }
}

function absentFromEmpty(nodes: readonly Uint8Array[]): undefined {
  const isEmptyNode = nodes.length === 1 && equalBytes(nodes[0] as Uint8Array, Uint8Array.of(0x80));
  if (nodes.length > 0 && !isEmptyNode) throw refuse('nodes of a trie that has none');
  return undefined;
}

function nodeOf(item: RlpItem): readonly RlpItem[] {
  if (item instanceof Uint8Array || (item.length !== 17 && item.length !== 2))
    throw refuse('a node is neither branch, nor extension, nor leaf');
  return item;
}

/** A partial path in its hex-prefix form (Yellow Paper, appendix C). */
function pathOf(item: RlpItem | undefined): { isLeaf: boolean; nibbles: readonly number[] } {
  const bytes = item instanceof Uint8Array ? item : new Uint8Array();
  const [first] = bytes;
  if (first === undefined || first >> 4 > 3) throw refuse('a path is malformed');
  const isOdd = ((first >> 4) & 1) === 1;
  if (!isOdd && (first & 0x0f) !== 0) throw refuse('a path is malformed');
  return { isLeaf: first >> 4 >= 2, nibbles: nibblesOf(bytes).slice(isOdd ? 1 : 2) };
}

function leafValue(item: RlpItem | undefined): Uint8Array {
  if (!(item instanceof Uint8Array) || item.length === 0) throw refuse('a leaf holds no value');
  return item;
}

function isEmpty(item: RlpItem | undefined): boolean {
  return item instanceof Uint8Array && item.length === 0;
}

function nibblesOf(bytes: Uint8Array): readonly number[] {
  return Array.from(bytes).flatMap((byte) => [byte >> 4, byte & 0x0f]);
}

function refuse(why: string): ProofError {
  return new ProofError('CHAIN_PROOF_INVALID', `A trie's proof does not hold: ${why}`);
}
