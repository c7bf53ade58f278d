import { ChannelError } from './channelError.ts';

/** Reads a message front to back. Every read is checked against what is there; nothing is copied. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #what: string;
  #at = 0;

  /** @param what named in errors: "the request", for example */
  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes;
    this.#what = what;
  }

  get at(): number {
    return this.#at;
  }

  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  take(length: number): Uint8Array {
    if (length > this.remaining) throw this.malformed(`ends inside a field of "${length}" bytes`);
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  uint8(): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) throw this.malformed('ends too early');
    this.#at++;
    return byte;
  }

  /**
   * A variable-length integer (RFC 9000 §16) in its shortest form, up to `max`. Longer forms would let two byte strings
   * mean one message.
   */
  varint(max: number, tooLarge: (value: number) => Error): number {
    const first = this.uint8();
    const prefix = first >> 6;
    let value = first & 0x3f;
    for (let i = 1; i < 1 << prefix; i++) value = value * 256 + this.uint8();
    if (value < (smallestOfPrefix[prefix] as number))
      throw this.malformed('has an integer that is not in its shortest form');
    if (value > max) throw tooLarge(value);
    return value;
  }

  malformed(problem: string): ChannelError {
    return new ChannelError({ code: 'REQUEST_MALFORMED', message: `${this.#what} ${problem}`, meta: { at: this.#at } });
  }
}

/** The smallest value that needs 1, 2, 4 and 8 bytes. */
const smallestOfPrefix = [0, 64, 16_384, 1_073_741_824] as const;
