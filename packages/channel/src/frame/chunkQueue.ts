const joinBelowBytes = 4_096;

/**
 * Received chunks that wait for their reader. Small neighbours are joined and views into large shared buffers are
 * copied out, so that the memory held stays near `bytes` whatever sizes a hostile peer chooses.
 */
export class ChunkQueue {
  #chunks: Uint8Array[] = [];
  #first = 0;
  /** Bytes waiting. */
  bytes = 0;

  push(chunk: Uint8Array): void {
    this.bytes += chunk.length;
    const last = this.#chunks.length - 1;
    const tail = last >= this.#first ? this.#chunks[last] : undefined;
    if (tail !== undefined && tail.length + chunk.length <= joinBelowBytes) {
      const joined = new Uint8Array(tail.length + chunk.length);
      joined.set(tail);
      joined.set(chunk, tail.length);
      this.#chunks[last] = joined;
    } else {
      this.#chunks.push(chunk.buffer.byteLength > 2 * chunk.length ? new Uint8Array(chunk) : chunk);
    }
  }

  shift(): Uint8Array | undefined {
    const chunk = this.#chunks[this.#first];
    if (chunk === undefined) return undefined;
    this.#first += 1;
    if (this.#first === this.#chunks.length) this.clear();
    else {
      this.bytes -= chunk.length;
      if (this.#first >= 64) {
        this.#chunks.splice(0, this.#first);
        this.#first = 0;
      }
    }
    return chunk;
  }

  clear(): void {
    this.#chunks = [];
    this.#first = 0;
    this.bytes = 0;
  }
}
