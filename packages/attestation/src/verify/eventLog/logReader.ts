import { eventLogError } from './eventLogError.ts';

/** Reads little-endian fields one after the other, never beyond its bytes. Every failure is MALFORMED_EVENT_LOG with its offset. */
export class LogReader {
  readonly #bytes: Uint8Array;
  readonly #place: string;
  /** Offset of `bytes` in the log, for messages. */
  readonly #start: number;
  #position = 0;

  constructor(bytes: Uint8Array, place: string, start = 0) {
    this.#bytes = bytes;
    this.#place = place;
    this.#start = start;
  }

  get left(): number {
    return this.#bytes.length - this.#position;
  }

  /** Where the next field stands, as errors name it. */
  get here(): string {
    return `${this.#place} @ ${this.#start + this.#position}`;
  }

  take(length: number, what: string): Uint8Array {
    if (length > this.left)
      throw eventLogError('MALFORMED_EVENT_LOG', this.here, `Expected ${length} bytes of ${what}`, this.left);
    this.#position += length;
    return this.#bytes.subarray(this.#position - length, this.#position);
  }

  /** The next `length` bytes as a reader of their own. */
  sized(length: number, what: string): LogReader {
    const start = this.#start + this.#position;
    return new LogReader(this.take(length, what), this.#place, start);
  }

  u8(what: string): number {
    return this.take(1, what)[0] ?? 0;
  }

  u16(what: string): number {
    const [low = 0, high = 0] = this.take(2, what);
    return low | (high << 8);
  }

  u32(what: string): number {
    return this.u16(what) + this.u16(what) * 0x10000;
  }

  u64(what: string): bigint {
    return BigInt(this.u32(what)) + (BigInt(this.u32(what)) << 32n);
  }

  /** Whether nothing follows but bytes of this value. */
  onlyLeft(value: number): boolean {
    return this.#bytes.subarray(this.#position).every((byte) => byte === value);
  }
}
