/** Bytes that arrived and wait to be read. Grows with what really came, never with what a header promises. */
export class ByteQueue {
  #bytes = new Uint8Array(1_024);
  #start = 0;
  #end = 0;

  get length(): number {
    return this.#end - this.#start;
  }

  push(bytes: Uint8Array): void {
    if (this.#end + bytes.length > this.#bytes.length) this.#makeRoom(bytes.length);
    this.#bytes.set(bytes, this.#end);
    this.#end += bytes.length;
  }

  /** The first `length` bytes, as a view that holds until the next push. */
  peek(length: number): Uint8Array {
    return this.#bytes.subarray(this.#start, this.#start + length);
  }

  /** Removes and copies the first `length` bytes. */
  take(length: number): Uint8Array {
    const taken = this.peek(length).slice();
    this.#start += length;
    return taken;
  }

  #makeRoom(more: number): void {
    const held = this.peek(this.length);
    const needed = held.length + more;
    if (needed > this.#bytes.length / 2) {
      const larger = new Uint8Array(needed * 2);
      larger.set(held);
      this.#bytes = larger;
    } else {
      this.#bytes.copyWithin(0, this.#start, this.#end);
    }
    this.#end = held.length;
    this.#start = 0;
  }
}
