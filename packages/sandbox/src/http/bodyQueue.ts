export type BodyQueueOptions = {
  /** How many bytes may wait before the source is asked to pause. */
  readonly highWaterBytes: number;
  /** The reader has caught up after a `push` that answered false. */
  readonly drained: () => void;
  /** The reader has stopped before the end. */
  readonly abandoned: () => void;
};

type Waiting = {
  readonly resolve: (result: IteratorResult<Uint8Array>) => void;
  readonly reject: (error: Error) => void;
};

/** Bytes on their way from a source that pushes to one reader that pulls. */
export class BodyQueue implements AsyncIterable<Uint8Array> {
  readonly #options: BodyQueueOptions;
  readonly #chunks: Uint8Array[] = [];
  #bytes = 0;
  #full = false;
  #closed: { readonly error?: Error } | undefined;
  #waiting: Waiting | undefined;
  #taken = false;

  constructor(options: BodyQueueOptions) {
    this.#options = options;
  }

  /** Adds bytes; false where the source should pause until `drained`. */
  push(chunk: Uint8Array): boolean {
    if (this.#closed !== undefined) return true;
    if (this.#waiting !== undefined) {
      const { resolve } = this.#waiting;
      this.#waiting = undefined;
      resolve({ done: false, value: chunk });
      return true;
    }
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    this.#full = this.#bytes >= this.#options.highWaterBytes;
    return !this.#full;
  }

  /** Ends the body after what is in the queue; with an error, the reader gets that then. */
  close(error?: Error): void {
    if (this.#closed !== undefined) return;
    this.#closed = error === undefined ? {} : { error };
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (error !== undefined) waiting?.reject(error);
    else waiting?.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    if (this.#taken) throw new TypeError('A body can be read only once');
    this.#taken = true;
    return { next: () => this.#next(), return: () => this.#return() };
  }

  #next(): Promise<IteratorResult<Uint8Array>> {
    const chunk = this.#chunks.shift();
    if (chunk !== undefined) {
      this.#bytes -= chunk.length;
      if (this.#full && this.#bytes < this.#options.highWaterBytes / 2) {
        this.#full = false;
        this.#options.drained();
      }
      return Promise.resolve({ done: false, value: chunk });
    }
    if (this.#closed?.error !== undefined) return Promise.reject(this.#closed.error);
    if (this.#closed !== undefined) return Promise.resolve({ done: true, value: undefined });
    if (this.#waiting !== undefined) return Promise.reject(new TypeError('A body has one reader at a time'));
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }

  #return(): Promise<IteratorResult<Uint8Array>> {
    const early = this.#closed === undefined;
    this.#chunks.length = 0;
    this.close();
    if (early) this.#options.abandoned();
    return Promise.resolve({ done: true, value: undefined });
  }
}
