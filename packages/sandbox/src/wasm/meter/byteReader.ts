import { WasmRefusal } from './wasmRefusal.ts';

/** Reads a module's bytes from front to back. Whatever would reach beyond them throws WASM_MALFORMED. */
export class ByteReader {
  readonly bytes: Uint8Array;
  position = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  get done(): boolean {
    return this.position === this.bytes.length;
  }

  u8(): number {
    const value = this.bytes[this.position];
    if (value === undefined) throw endsEarly(this.position);
    this.position += 1;
    return value;
  }

  /** An unsigned number in at most five bytes of seven bits (LEB128). */
  u32(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.u8();
      if (shift === 28 && byte > 0x0f) break;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw new WasmRefusal('WASM_MALFORMED', `A number at byte ${this.position} is longer than 32 bits`);
  }

  /** Passes over a signed number of at most `bits` bits. */
  skipSigned(bits: 32 | 33 | 64): void {
    for (let count = Math.ceil(bits / 7); count > 0; count -= 1) if (this.u8() < 0x80) return;
    throw new WasmRefusal('WASM_MALFORMED', `A number at byte ${this.position} is longer than ${bits} bits`);
  }

  take(length: number): Uint8Array {
    if (length > this.bytes.length - this.position) throw endsEarly(this.bytes.length);
    const taken = this.bytes.subarray(this.position, this.position + length);
    this.position += length;
    return taken;
  }

  /** A vector's length, checked against what is left: each element has at least one byte. */
  count(what: string, most: number): number {
    const count = this.u32();
    if (count > most) throw new WasmRefusal('WASM_TOO_MUCH', `The module has ${count} ${what}, more than ${most}`);
    if (count > this.bytes.length - this.position) throw endsEarly(this.bytes.length);
    return count;
  }

  name(): string {
    const bytes = this.take(this.u32());
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      throw new WasmRefusal('WASM_MALFORMED', `A name before byte ${this.position} is not UTF-8`);
    }
  }
}

function endsEarly(at: number): WasmRefusal {
  return new WasmRefusal('WASM_MALFORMED', `The module ends in the middle of something, at byte ${at}`);
}
