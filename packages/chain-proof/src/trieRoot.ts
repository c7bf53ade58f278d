import { keccak256 } from '@cloister/crypto';
import { encodeRlp, integerBytes, type RlpItem } from './rlp.ts';
import { emptyTrieRoot } from './trieProof.ts';

type Entry = { readonly nibbles: readonly number[]; readonly value: Uint8Array };

/**
 * The root of the trie that has a list under the RLP of its indices: a block's receipts or transactions (Yellow Paper 4.4.2 and
 * appendix D). No such key begins another, so no value stands in a branch.
 */
export function listTrieRoot(values: readonly Uint8Array[]): Uint8Array {
  if (values.length === 0) return emptyTrieRoot;
  const entries = values.map((value, index) => ({ nibbles: nibblesOf(encodeRlp(integerBytes(BigInt(index)))), value }));
  return keccak256(encodeRlp(nodeOf(entries, 0)));
}

function nodeOf(entries: readonly Entry[], depth: number): RlpItem {
  const [first] = entries as readonly [Entry, ...Entry[]];
  if (entries.length === 1) return [hexPrefix(first.nibbles.slice(depth), true), first.value];
  const shared = sharedLength(entries, depth);
  if (shared > 0) {
    const path = first.nibbles.slice(depth, depth + shared);
    return [hexPrefix(path, false), referenceTo(nodeOf(entries, depth + shared))];
  }
  const children = Array.from({ length: 16 }, (_, nibble) => {
    const below = entries.filter(({ nibbles }) => nibbles[depth] === nibble);
    return below.length === 0 ? new Uint8Array() : referenceTo(nodeOf(below, depth + 1));
  });
  return [...children, new Uint8Array()];
}

/** A node shorter than a hash stands in its parent, any other is named by its hash. */
function referenceTo(node: RlpItem): RlpItem {
  const bytes = encodeRlp(node);
  return bytes.length < 32 ? node : keccak256(bytes);
}

function sharedLength(entries: readonly Entry[], depth: number): number {
  const [{ nibbles }] = entries as readonly [Entry, ...Entry[]];
  let length = 0;
  // Ends before a key does: they are different, and none begins another.
  while (entries.every((entry) => entry.nibbles[depth + length] === nibbles[depth + length])) length += 1;
  return length;
}

/** A partial path in its hex-prefix form (Yellow Paper, appendix C). */
function hexPrefix(nibbles: readonly number[], isLeaf: boolean): Uint8Array {
  const isOdd = nibbles.length % 2 === 1;
  const flags = (isLeaf ? 2 : 0) + (isOdd ? 1 : 0);
  const all = isOdd ? [flags, ...nibbles] : [flags, 0, ...nibbles];
  return Uint8Array.from({ length: all.length / 2 }, (_, at) => ((all[2 * at] ?? 0) << 4) | (all[2 * at + 1] ?? 0));
}

function nibblesOf(bytes: Uint8Array): readonly number[] {
  return Array.from(bytes).flatMap((byte) => [byte >> 4, byte & 0x0f]);
}
