import type { FileHandle } from 'node:fs/promises';
import { ImageError } from './imageError.ts';

/** Bytes that are read from front to back. */
export interface ByteSource {
  /** Where the next byte is. */
  readonly offset: number;
  /** Just so many bytes; undefined at the very end. Throws IMAGE_MALFORMED where it ends in between. */
  read(length: number): Promise<Buffer | undefined>;
  skip(length: number): Promise<void>;
}

/** The bytes of a file, or of a part of it. */
export class FileSource implements ByteSource {
  readonly #file: FileHandle;
  readonly #end: number;
  #offset: number;

  constructor(file: FileHandle, start: number, length: number) {
    this.#file = file;
    this.#offset = start;
    this.#end = start + length;
  }

  get offset(): number {
    return this.#offset;
  }

  async read(length: number): Promise<Buffer | undefined> {
    if (this.#offset === this.#end) return undefined;
    if (this.#offset + length > this.#end) throw endsEarly();
    const buffer = Buffer.alloc(length);
    const { bytesRead } = await this.#file.read(buffer, 0, length, this.#offset);
    if (bytesRead !== length) throw endsEarly();
    this.#offset += length;
    return buffer;
  }

  async skip(length: number): Promise<void> {
    if (this.#offset + length > this.#end) throw endsEarly();
    this.#offset += length;
  }
}

/** The bytes of a stream. */
export class StreamSource implements ByteSource {
  readonly #chunks: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);
  #offset = 0;

  constructor(chunks: AsyncIterable<Buffer>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  get offset(): number {
    return this.#offset;
  }

  async read(length: number): Promise<Buffer | undefined> {
    const parts: Buffer[] = [];
    let missing = length;
    while (missing > 0) {
      if (this.#rest.length === 0 && !(await this.#refill())) {
        if (missing === length) return undefined;
        throw endsEarly();
      }
      const part = this.#rest.subarray(0, missing);
      this.#rest = this.#rest.subarray(part.length);
      missing -= part.length;
      parts.push(part);
    }
    this.#offset += length;
    return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
  }

  async skip(length: number): Promise<void> {
    let missing = length;
    while (missing > 0) {
      if (this.#rest.length === 0 && !(await this.#refill())) throw endsEarly();
      const used = Math.min(missing, this.#rest.length);
      this.#rest = this.#rest.subarray(used);
      missing -= used;
    }
    this.#offset += length;
  }

  /** Reads what is left, and throws it away. */
  async drain(): Promise<void> {
    this.#rest = Buffer.alloc(0);
    while (await this.#refill()) this.#rest = Buffer.alloc(0);
  }

  async #refill(): Promise<boolean> {
    const { done, value } = await this.#chunks.next();
    if (done === true) return false;
    this.#rest = value;
    return true;
  }
}

function endsEarly(): ImageError {
  return new ImageError('IMAGE_MALFORMED', 'The archive ends in the middle');
}
