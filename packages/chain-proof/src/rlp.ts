import { ProofError } from './proofError.ts';

/** What RLP holds: a string of bytes, or a list. */
export type RlpItem = Uint8Array | readonly RlpItem[];

/** Lists in lists: a trie's node holds nodes that are shorter than a hash, and these no others that could be long. */
const maxDepth = 8;

/**
 * Reads one item that takes all the bytes (Yellow Paper, appendix B). Strict: of the encodings of an item only the shortest is
 * read, and nothing may follow. Throws CHAIN_PROOF_INVALID.
 */
export function decodeRlp(bytes: Uint8Array): RlpItem {
  const { item, end } = itemAt(bytes, 0, bytes.length, 0);
  if (end !== bytes.length) throw malformed(`"${bytes.length - end}" bytes follow`);
  return item;
}

/** Writes an item, the shortest way. */
export function encodeRlp(item: RlpItem): Uint8Array {
  if (item instanceof Uint8Array) {
    const [first = 0x80] = item;
    return item.length === 1 && first < 0x80 ? item : joined(prefix(0x80, item.length), [item]);
  }
  const parts = item.map(encodeRlp);
  return joined(
    prefix(
      0xc0,
      parts.reduce((sum, { length }) => sum + length, 0),
    ),
    parts,
  );
}

/** An unsigned integer as RLP has it: big-endian, without leading zeros, zero as nothing. */
export function integerBytes(value: bigint): Uint8Array {
  if (value === 0n) return new Uint8Array();
  const hex = value.toString(16);
  const even = hex.length % 2 === 0 ? hex : `0${hex}`;
  return Uint8Array.from(even.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
}

/** The integer in such bytes, of at most `maxBytes`. Throws CHAIN_PROOF_INVALID. */
export function integerOf(item: RlpItem | undefined, maxBytes: number): bigint {
  if (!(item instanceof Uint8Array)) throw malformed('a list stands where a number belongs');
  if (item.length > maxBytes) throw malformed(`a number has "${item.length}" bytes`);
  if (item[0] === 0) throw malformed('a number begins with zero');
  return item.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

function itemAt(bytes: Uint8Array, at: number, limit: number, depth: number): { item: RlpItem; end: number } {
  const first = bytes[at];
  // Inside a list there is a byte: its items are read only as far as it goes.
  if (first === undefined) throw malformed('it ends early');
  if (first < 0x80) return { item: bytes.subarray(at, at + 1), end: at + 1 };
  const isList = first >= 0xc0;
  const { from, end } = contentAt(bytes, at, limit, first - (isList ? 0xc0 : 0x80));
  if (!isList) {
    const item = bytes.subarray(from, end);
    if (item.length === 1 && (item[0] ?? 0) < 0x80) throw malformed('a byte is written the long way');
    return { item, end };
  }
  if (depth === maxDepth) throw malformed(`lists stand more than "${maxDepth}" deep`);
  const items: RlpItem[] = [];
  for (let next = from; next < end; ) {
    const inner = itemAt(bytes, next, end, depth + 1);
    items.push(inner.item);
    next = inner.end;
  }
  return { item: items, end };
}

function contentAt(bytes: Uint8Array, at: number, limit: number, code: number): { from: number; end: number } {
  const lengthBytes = code > 55 ? code - 55 : 0;
  const from = at + 1 + lengthBytes;
  // Four bytes of length are more than any answer may have.
  if (lengthBytes > 4 || from > limit) throw malformed('a length is too long');
  const length = lengthBytes === 0 ? code : bytes.subarray(at + 1, from).reduce((value, byte) => value * 256 + byte, 0);
  if (lengthBytes > 0 && (bytes[at + 1] === 0 || length <= 55)) throw malformed('a length is written the long way');
  if (from + length > limit) throw malformed('it ends early');
  return { from, end: from + length };
}

function prefix(base: number, length: number): Uint8Array {
  if (length <= 55) return Uint8Array.of(base + length);
  const bytes = integerBytes(BigInt(length));
  return Uint8Array.of(base + 55 + bytes.length, ...bytes);
}

function joined(head: Uint8Array, parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, head.length));
  bytes.set(head);
  let at = head.length;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function malformed(why: string): ProofError {
  return new ProofError('CHAIN_PROOF_INVALID', `Malformed RLP: ${why}`);
}
