/** Builds a message in one growing buffer. */
export class ByteWriter {
  #bytes: Uint8Array;
  #length = 0;

  constructor(capacity = 1_024) {
    this.#bytes = new Uint8Array(capacity);
  }

  get length(): number {
    return this.#length;
  }

  bytes(bytes: Uint8Array): this {
    const at = this.#extend(bytes.length);
    this.#bytes.set(bytes, at);
    return this;
  }

  uint8(value: number): this {
    const at = this.#extend(1);
    this.#bytes[at] = value;
    return this;
  }

  /** A variable-length integer (RFC 9000 §16), below 2³⁰, in its shortest form. */
  varint(value: number): this {
    if (value < 64) return this.uint8(value);
    if (value < 16_384) return this.uint8(0x40 | (value >> 8)).uint8(value & 0xff);
    if (value >= 1_073_741_824) throw new RangeError(`Expected a length below 2^30, got "${value}"`);
    return this.uint8(0x80 | (value >>> 24))
      .uint8((value >> 16) & 0xff)
      .uint8((value >> 8) & 0xff)
      .uint8(value & 0xff);
  }

  /** A string of characters up to U+00FF, one byte each, with its length in front. The caller has checked the characters. */
  latin1(text: string): this {
    this.varint(text.length);
    const at = this.#extend(text.length);
    for (let i = 0; i < text.length; i++) this.#bytes[at + i] = text.charCodeAt(i);
    return this;
  }

  /** Everything written, followed by zeros up to `length`. The writer must not be used afterwards. */
  finish(length = this.#length): Uint8Array {
    if (length > this.#length) this.#extend(length - this.#length);
    return this.#bytes.subarray(0, length);
  }

  #extend(by: number): number {
    const at = this.#length;
    this.#length += by;
    if (this.#length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.#length, this.#bytes.length * 2));
      larger.set(this.#bytes.subarray(0, at));
      this.#bytes.fill(0);
      this.#bytes = larger;
    }
    return at;
  }
}
