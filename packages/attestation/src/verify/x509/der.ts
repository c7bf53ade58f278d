import { AttestationError } from '../errors.ts';

/** Universal tags that certificates and CRLs are made of (X.690 §8), and context tags as bytes. */
export const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  enumerated: 0x0a,
  utf8String: 0x0c,
  sequence: 0x30,
  set: 0x31,
  printableString: 0x13,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  context0Constructed: 0xa0,
  context3Constructed: 0xa3,
} as const;

/**
 * A strict reader of DER (X.690 §10): definite, minimal lengths, one-byte tags, nothing left over. It walks the bytes it is
 * given and allocates nothing but views; it never recurses by itself, so the schema that calls it bounds the depth.
 * Every failure is MALFORMED_DER with the offset.
 */
export class DerReader {
  readonly bytes: Uint8Array;
  readonly place: string;
  readonly end: number;
  position: number;

  constructor(bytes: Uint8Array, place: string, start = 0, end = bytes.length) {
    this.bytes = bytes;
    this.place = place;
    this.position = start;
    this.end = end;
  }

  get done(): boolean {
    return this.position === this.end;
  }

  /** The next tag, or undefined at the end. */
  peek(): number | undefined {
    return this.position < this.end ? this.bytes[this.position] : undefined;
  }

  /** The contents of the next element, which must bear `tag`, as a reader of their own. */
  enter(tag: number, what: string): DerReader {
    const { start, end } = this.#header(tag, what);
    this.position = end;
    return new DerReader(this.bytes, this.place, start, end);
  }

  /** The contents of the next element, which must bear `tag`. */
  read(tag: number, what: string): Uint8Array {
    const { start, end } = this.#header(tag, what);
    this.position = end;
    return this.bytes.subarray(start, end);
  }

  /** The whole next element, header included, which must bear `tag`. */
  element(tag: number, what: string): Uint8Array {
    const from = this.position;
    const { end } = this.#header(tag, what);
    this.position = end;
    return this.bytes.subarray(from, end);
  }

  /** Contents of an INTEGER that is not negative, big-endian, without the sign byte. */
  unsigned(what: string): Uint8Array {
    return this.#unsigned(tags.integer, what);
  }

  /** A small INTEGER of 0 to `max`; `max` below 2^31. */
  smallInteger(max: number, what: string, tag: number = tags.integer): number {
    const at = this.position;
    const bytes = this.#unsigned(tag, what);
    let value = 0;
    for (const byte of bytes.length > 4 ? [] : bytes) value = value * 256 + byte;
    if (bytes.length > 4 || value > max) throw this.fail(`Expected ${what} of 0 to ${max}`, at);
    return value;
  }

  /** A BOOLEAN: 00 or FF. */
  boolean(what: string): boolean {
    const at = this.position;
    const contents = this.read(tags.boolean, what);
    const [byte] = contents;
    if (contents.length !== 1 || (byte !== 0 && byte !== 0xff)) throw this.fail(`Expected ${what} to be 00 or FF`, at);
    return byte === 0xff;
  }

  /** Contents of an OBJECT IDENTIFIER in hexadecimal: compared, never decoded. */
  oid(what: string): string {
    const at = this.position;
    const contents = this.read(tags.oid, what);
    const last = contents[contents.length - 1];
    if (last === undefined || last >= 0x80 || contents.length > 32)
      throw this.fail(`Expected ${what} to be an object identifier`, at);
    return hexOf(contents);
  }

  /** Contents of a BIT STRING of whole bytes. */
  wholeBits(what: string): Uint8Array {
    const at = this.position;
    const contents = this.read(tags.bitString, what);
    if (contents.length < 1 || contents[0] !== 0)
      throw this.fail(`Expected ${what} to be a bit string of whole bytes`, at);
    return contents.subarray(1);
  }

  /** Refuses anything left over. */
  finish(what: string): void {
    if (!this.done) throw this.fail(`Expected ${what} to end here`, this.position);
  }

  fail(message: string, at: number = this.position): AttestationError {
    return new AttestationError({
      code: 'MALFORMED_DER',
      place: `${this.place} @ ${at}`,
      message: `${message} at "${this.place} @ ${at}"`,
    });
  }

  #unsigned(tag: number, what: string): Uint8Array {
    const at = this.position;
    const contents = this.read(tag, what);
    const [first, second] = contents;
    if (first === undefined || first >= 0x80) throw this.fail(`Expected ${what} not to be negative or empty`, at);
    if (first === 0 && second !== undefined && second < 0x80)
      throw this.fail(`Expected ${what} in the fewest bytes`, at);
    return first === 0 && second !== undefined ? contents.subarray(1) : contents;
  }

  #header(tag: number, what: string): { start: number; end: number } {
    const at = this.position;
    if (at + 2 > this.end) throw this.fail(`Expected ${what}, got the end`, at);
    if (this.bytes[at] !== tag)
      throw this.fail(`Expected ${what} with tag ${byteHex(tag)}, got "${byteHex(this.bytes[at] ?? 0)}"`, at);
    let start = at + 2;
    let length = this.bytes[at + 1] ?? 0;
    if (length >= 0x80) {
      const count = length & 0x7f;
      if (count === 0 || count > 3 || start + count > this.end)
        throw this.fail(`Expected ${what} with a definite length`, at);
      length = 0;
      for (let index = 0; index < count; index++) length = length * 256 + (this.bytes[start + index] ?? 0);
      start += count;
      if (length < 0x80 || length < 256 ** (count - 1))
        throw this.fail(`Expected the length of ${what} in the fewest bytes`, at);
    }
    const end = start + length;
    if (end > this.end) throw this.fail(`Expected ${what} to fit, it ends at ${end}`, at);
    return { start, end };
  }
}

const hexPairs = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** Lower-case hexadecimal without prefix: for comparison and maps. */
export function hexOf(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += hexPairs[byte];
  return text;
}

function byteHex(byte: number): string {
  return `0x${hexPairs[byte & 0xff]}`;
}
