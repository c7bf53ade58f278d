import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

const windowBytes = 64 * 1024;

/** Reads a file from front to back, little-endian, without ever holding more than a window or one text of it. */
export class FileReader {
  readonly size: number;
  readonly #descriptor: number;
  #window = Buffer.alloc(0);
  #windowStart = 0;
  #at = 0;

  constructor(path: string) {
    this.#descriptor = openSync(path, 'r');
    this.size = fstatSync(this.#descriptor).size;
  }

  get at(): number {
    return this.#at;
  }

  get left(): number {
    return this.size - this.#at;
  }

  u32(): number {
    return this.#take(4).readUInt32LE();
  }

  /** Throws MalformedFileError for more than 2^53 - 1: no file and no count is so large. */
  u64(): number {
    const value = this.#take(8).readBigUInt64LE();
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new MalformedFileError(`it counts ${value} of something`);
    return Number(value);
  }

  byte(): number {
    return this.#take(1)[0] ?? 0;
  }

  /** The next byte, which stays the next. */
  peek(): number {
    const byte = this.byte();
    this.#at -= 1;
    return byte;
  }

  bytes(length: number): Buffer {
    return Buffer.from(this.#take(length));
  }

  skip(length: number): void {
    if (length > this.left) throw new MalformedFileError(`it names ${length} bytes where ${this.left} are left`);
    this.#at += length;
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  #take(length: number): Buffer {
    if (length > this.left) throw new MalformedFileError(`it names ${length} bytes where ${this.left} are left`);
    const start = this.#at - this.#windowStart;
    if (start < 0 || start + length > this.#window.length) {
      const fresh = Buffer.alloc(Math.min(Math.max(windowBytes, length), this.left));
      let filled = 0;
      while (filled < fresh.length) {
        const count = readSync(this.#descriptor, fresh, filled, fresh.length - filled, this.#at + filled);
        if (count === 0) throw new MalformedFileError('it ended while it was read');
        filled += count;
      }
      this.#window = fresh;
      this.#windowStart = this.#at;
    }
    const offset = this.#at - this.#windowStart;
    this.#at += length;
    return this.#window.subarray(offset, offset + length);
  }
}

/** A file that isn't what it says. */
export class MalformedFileError extends Error {
  override readonly name = 'MalformedFileError';

  constructor(what: string) {
    super(`The weights can't be used: ${what}`);
  }
}
