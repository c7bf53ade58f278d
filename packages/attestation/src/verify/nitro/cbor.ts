import { fromUtf8 } from '@cloister/crypto';
import { AttestationError } from '../errors.ts';

/** Major types of CBOR (RFC 8949 §3.1). */
const major = { unsigned: 0, negative: 1, bytes: 2, text: 3, array: 4, map: 5, tag: 6, simple: 7 } as const;
const breakCode = 0xff;
const nullCode = 0xf6;
const indefinite = 31;

/**
 * A strict reader of CBOR (RFC 8949): shortest lengths (§4.2.1), nothing left over. It reads what a schema asks for, item by
 * item, so it never recurses, and its arrays and maps have no more items than the schema allows. Views, no copies. Of
 * indefinite lengths it knows only those of maps: AWS's documents have one. Every failure is MALFORMED_CBOR with the offset.
 */
export class CborReader {
  readonly bytes: Uint8Array;
  readonly place: string;
  position = 0;

  constructor(bytes: Uint8Array, place: string) {
    this.bytes = bytes;
    this.place = place;
  }

  get done(): boolean {
    return this.position === this.bytes.length;
  }

  /** A tag, where the next item has this one; otherwise nothing is read. */
  optionalTag(tag: number): void {
    if (this.bytes[this.position] === ((major.tag << 5) | tag)) this.position += 1;
  }

  /** An unsigned integer of at most `max`, itself at most 2^53 − 1. */
  unsigned(max: number, what: string): number {
    const at = this.position;
    const value = this.#head(major.unsigned, what);
    if (value > max) throw this.fail(`Expected ${what} of at most ${max}`, at);
    return value;
  }

  /** A byte string of at most `max` bytes. */
  byteString(max: number, what: string): Uint8Array {
    return this.#string(major.bytes, max, what);
  }

  /** A byte string of at most `max` bytes, or null. */
  byteStringOrNull(max: number, what: string): Uint8Array | null {
    if (this.bytes[this.position] !== nullCode) return this.byteString(max, what);
    this.position += 1;
    return null;
  }

  /** UTF-8 of at most `max` bytes. */
  text(max: number, what: string): string {
    const at = this.position;
    const bytes = this.#string(major.text, max, what);
    try {
      return fromUtf8(bytes);
    } catch {
      throw this.fail(`Expected ${what} in UTF-8`, at);
    }
  }

  /** The number of items of an array, at most `max`. */
  array(max: number, what: string): number {
    return this.#count(major.array, max, what);
  }

  /** Reads the entries of a map, at most `max` of them; `entry` reads a key and its value. */
  entries(max: number, what: string, entry: () => void): void {
    const at = this.position;
    if (this.bytes[at] !== ((major.map << 5) | indefinite)) {
      for (let left = this.#count(major.map, max, what); left > 0; left--) entry();
      return;
    }
    this.position += 1;
    for (let count = 0; this.bytes[this.position] !== breakCode; count++) {
      if (count === max) throw this.fail(`Expected ${what} of at most ${max} entries`, at);
      entry();
    }
    this.position += 1;
  }

  /** Refuses anything left over. */
  finish(what: string): void {
    if (!this.done) throw this.fail(`Expected ${what} to end here`, this.position);
  }

  fail(message: string, at: number = this.position): AttestationError {
    return new AttestationError({
      code: 'MALFORMED_CBOR',
      place: `${this.place} @ ${at}`,
      message: `${message} at "${this.place} @ ${at}"`,
    });
  }

  #string(type: number, max: number, what: string): Uint8Array {
    const at = this.position;
    const length = this.#head(type, what);
    if (length > max) throw this.fail(`Expected ${what} of at most ${max} bytes`, at);
    const end = this.position + length;
    if (end > this.bytes.length) throw this.fail(`Expected ${what} to fit, it ends at ${end}`, at);
    const start = this.position;
    this.position = end;
    return this.bytes.subarray(start, end);
  }

  #count(type: number, max: number, what: string): number {
    const at = this.position;
    const count = this.#head(type, what);
    if (count > max) throw this.fail(`Expected ${what} of at most ${max} items`, at);
    return count;
  }

  /** The argument of the next item's head, which must be of this major type. */
  #head(type: number, what: string): number {
    const at = this.position;
    const first = this.bytes[at];
    if (first === undefined) throw this.fail(`Expected ${what}, got the end`, at);
    if (first >> 5 !== type) throw this.fail(`Expected ${what} of major type ${type}, got "${first >> 5}"`, at);
    const short = first & 31;
    this.position += 1;
    if (short < 24) return short;
    const length = { 24: 1, 25: 2, 26: 4, 27: 8 }[short];
    if (length === undefined) throw this.fail(`Expected ${what} of a definite length`, at);
    if (this.position + length > this.bytes.length) throw this.fail(`Expected ${what}, got the end`, at);
    let value = 0;
    for (let index = 0; index < length; index++) value = value * 256 + (this.bytes[this.position + index] ?? 0);
    this.position += length;
    const least = length === 1 ? 24 : 256 ** (length / 2);
    if (value < least) throw this.fail(`Expected ${what} in the fewest bytes`, at);
    if (!Number.isSafeInteger(value)) throw this.fail(`Expected ${what} below 2^53`, at);
    return value;
  }
}
