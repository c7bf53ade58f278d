/** An address outside of the module's memory: WASI answers it with EFAULT. */
export class BadAddress extends Error {
  override readonly name = 'BadAddress';
}

/** The memory of one instance, looked at anew each time since it may have grown. Throws BadAddress beyond its end. */
export class GuestMemory {
  readonly #memory: WebAssembly.Memory;

  constructor(memory: WebAssembly.Memory) {
    this.#memory = memory;
  }

  get byteLength(): number {
    return this.#memory.buffer.byteLength;
  }

  /** The bytes themselves, not a copy: good until the module runs again. */
  view(address: number, length: number): Uint8Array<ArrayBuffer> {
    const [start, size] = [address >>> 0, length >>> 0];
    if (start + size > this.#memory.buffer.byteLength) throw new BadAddress();
    return new Uint8Array(this.#memory.buffer as ArrayBuffer, start, size);
  }

  write(address: number, bytes: Uint8Array): void {
    this.view(address, bytes.length).set(bytes);
  }

  u32(address: number): number {
    return this.#data(address, 4).getUint32(0, true);
  }

  u16(address: number): number {
    return this.#data(address, 2).getUint16(0, true);
  }

  u8(address: number): number {
    return this.#data(address, 1).getUint8(0);
  }

  u64(address: number): bigint {
    return this.#data(address, 8).getBigUint64(0, true);
  }

  setU32(address: number, value: number): void {
    this.#data(address, 4).setUint32(0, value, true);
  }

  setU16(address: number, value: number): void {
    this.#data(address, 2).setUint16(0, value, true);
  }

  setU8(address: number, value: number): void {
    this.#data(address, 1).setUint8(0, value);
  }

  setU64(address: number, value: bigint): void {
    this.#data(address, 8).setBigUint64(0, value, true);
  }

  #data(address: number, length: number): DataView {
    const bytes = this.view(address, length);
    return new DataView(bytes.buffer, bytes.byteOffset, length);
  }
}
