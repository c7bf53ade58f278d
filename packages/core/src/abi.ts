import { concatBytes, fromHex, keccak256, toHex, utf8 } from '@cloister/crypto';
import { CloisterError } from './errors.ts';
import type { Bytes32, Hex } from './hex.ts';

/** A static ABI word: bytes32 or address as Hex, or an unsigned integer. */
export type AbiWord = Hex | bigint | number;

/**
 * One 32-byte word of the Solidity ABI: integers big-endian, addresses left-padded, bytes32 as they are.
 * Throws ABI_WORD_OUT_OF_RANGE for what fits none of these.
 */
export function abiWord(value: AbiWord): Uint8Array {
  if (typeof value === 'string') {
    const bytes = fromHex(value);
    if (bytes.length === 32) return bytes;
    if (bytes.length === 20) return concatBytes(new Uint8Array(12), bytes);
    throw new AbiWordError(value);
  }
  const integer = typeof value === 'number' ? (Number.isSafeInteger(value) ? BigInt(value) : -1n) : value;
  if (integer < 0n || integer >> 256n !== 0n) throw new AbiWordError(String(value));
  return fromHex(`0x${integer.toString(16).padStart(64, '0')}`);
}

/** abi.encode of static words. */
export function abiEncodeWords(...words: readonly AbiWord[]): Uint8Array {
  return concatBytes(...words.map(abiWord));
}

/** abi.encode(string tag, words…): the string is dynamic, so its offset leads and its bytes close. */
export function abiEncodeTagged(tag: string, ...words: readonly AbiWord[]): Uint8Array {
  const text = utf8(tag);
  const padded = new Uint8Array(Math.ceil(text.length / 32) * 32);
  padded.set(text);
  return concatBytes(abiWord(32 * (words.length + 1)), ...words.map(abiWord), abiWord(text.length), padded);
}

/** H(tag, words…) of the protocol: keccak256(abi.encode(string tag, words…)). Every tag ends in ": v1". */
export function tagHash(tag: string, ...words: readonly AbiWord[]): Bytes32 {
  return tagHashWith(keccak256, tag, words);
}

/** The same with a given Keccak-256. */
export function tagHashWith(keccak: Keccak256, tag: string, words: readonly AbiWord[]): Bytes32 {
  return toHex(keccak(abiEncodeTagged(tag, ...words)));
}

/** Keccak-256 of bytes: the portable one unless a caller has a faster one. */
export type Keccak256 = (bytes: Uint8Array) => Uint8Array;

export class AbiWordError extends CloisterError<'ABI_WORD_OUT_OF_RANGE'> {
  override readonly name = 'AbiWordError';
  constructor(value: string) {
    super({
      code: 'ABI_WORD_OUT_OF_RANGE',
      message: `Expected bytes32, an address or an integer of 0 to 2^256−1, got "${value.slice(0, 80)}"`,
    });
  }
}
