import { WasmRefusal } from './wasmRefusal.ts';

/** What a module may grow to when the counting is put in. */
export const maxWrittenBytes = 128 * 1024 * 1024;

/** Bytes that grow at their end. Throws WASM_TOO_MUCH beyond `maxWrittenBytes`. */
export class ByteWriter {
  #bytes = new Uint8Array(256);
  length = 0;

  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }

  clear(): void {
    this.length = 0;
  }

  u8(...values: readonly number[]): this {
    this.#room(values.length);
    for (const value of values) this.#bytes[this.length++] = value;
    return this;
  }

  append(bytes: Uint8Array): this {
    this.#room(bytes.length);
    this.#bytes.set(bytes, this.length);
    this.length += bytes.length;
    return this;
  }

  u32(value: number): this {
    let rest = value;
    for (; rest > 0x7f; rest = Math.floor(rest / 128)) this.u8((rest % 128) | 0x80);
    return this.u8(rest);
  }

  /** A signed number (LEB128). */
  signed(value: bigint | number): this {
    let rest = BigInt(value);
    for (;;) {
      const byte = Number(rest & 0x7fn);
      rest >>= 7n;
      if ((rest === 0n && byte < 0x40) || (rest === -1n && byte >= 0x40)) return this.u8(byte);
      this.u8(byte | 0x80);
    }
  }

  /** Bytes with their length before them. */
  sized(bytes: Uint8Array): this {
    return this.u32(bytes.length).append(bytes);
  }

  name(text: string): this {
    return this.sized(new TextEncoder().encode(text));
  }

  #room(more: number): void {
    const wanted = this.length + more;
    if (wanted <= this.#bytes.length) return;
    if (wanted > maxWrittenBytes)
      throw new WasmRefusal('WASM_TOO_MUCH', `With its counting the module passes ${maxWrittenBytes} bytes`);
    const larger = new Uint8Array(Math.min(maxWrittenBytes, Math.max(wanted, this.#bytes.length * 2)));
    larger.set(this.bytes);
    this.#bytes = larger;
  }
}
