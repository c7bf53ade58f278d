export type BodyCoalescerInit = {
  /** How long a small piece may wait for the next one, in milliseconds. */
  readonly waitMs: number;
  /** From so many bytes on nothing waits. */
  readonly enoughBytes: number;
};

/**
 * Joins small pieces of a body that come shortly one after the other, so that the sizes of sealed chunks don't show every
 * single token. What is sent stays in order; `flush` sends what is left.
 */
export class BodyCoalescer {
  readonly #send: (bytes: Uint8Array) => Promise<void>;
  readonly #init: BodyCoalescerInit;
  #pieces: Uint8Array[] = [];
  #bytes = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #sending: Promise<void> = Promise.resolve();

  constructor(
    send: (bytes: Uint8Array) => Promise<void>,
    init: BodyCoalescerInit = { waitMs: 20, enoughBytes: 16_384 },
  ) {
    this.#send = send;
    this.#init = init;
  }

  /** Takes a piece. Resolves at once while it waits, else when all so far is sent: that is the back-pressure. */
  async push(bytes: Uint8Array): Promise<void> {
    this.#pieces.push(bytes);
    this.#bytes += bytes.length;
    if (this.#bytes >= this.#init.enoughBytes) return this.flush();
    this.#timer ??= setTimeout(() => {
      // A failure shows at the next push or flush: they wait for the same promise.
      this.flush().catch(() => {});
    }, this.#init.waitMs);
  }

  /** Sends what waits. */
  flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const pieces = this.#pieces;
    this.#pieces = [];
    this.#bytes = 0;
    if (pieces.length > 0) {
      const [only] = pieces;
      const bytes = pieces.length === 1 && only !== undefined ? only : Buffer.concat(pieces);
      this.#sending = this.#sending.then(() => this.#send(bytes));
    }
    return this.#sending;
  }
}
