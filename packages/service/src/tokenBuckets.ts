export type TokenBucketsInit = {
  /** The most that a client can save up, and what it starts with. */
  readonly burst: number;
  readonly perSecond: number;
  /** Clients remembered; the one not seen for longest is forgotten first. @default 20_000 */
  readonly maxClients?: number;
  /** Monotonic, ms. */
  readonly now?: () => number;
};

/** One token bucket per client, in bounded memory. */
export class TokenBuckets {
  readonly #burst: number;
  readonly #perMs: number;
  readonly #maxClients: number;
  readonly #now: () => number;
  readonly #buckets = new Map<string, { tokens: number; at: number }>();

  constructor(init: TokenBucketsInit) {
    this.#burst = init.burst;
    this.#perMs = init.perSecond / 1000;
    this.#maxClients = init.maxClients ?? 20_000;
    this.#now = init.now ?? (() => performance.now());
  }

  /** Clients remembered now. */
  get size(): number {
    return this.#buckets.size;
  }

  /** Takes so many tokens and returns 0, or takes none and returns the ms until they are there. Infinity: never. */
  take(client: string, tokens = 1): number {
    const now = this.#now();
    const known = this.#buckets.get(client);
    const bucket = known ?? { tokens: this.#burst, at: now };
    bucket.tokens = Math.min(this.#burst, bucket.tokens + (now - bucket.at) * this.#perMs);
    bucket.at = now;
    // Insertion order is the order of last use.
    if (known !== undefined) this.#buckets.delete(client);
    else if (this.#buckets.size >= this.#maxClients) this.#forgetOldest();
    this.#buckets.set(client, bucket);
    if (tokens > this.#burst) return Number.POSITIVE_INFINITY;
    if (bucket.tokens < tokens) return Math.max(1, (tokens - bucket.tokens) / this.#perMs);
    bucket.tokens -= tokens;
    return 0;
  }

  #forgetOldest(): void {
    for (const client of this.#buckets.keys()) {
      this.#buckets.delete(client);
      return;
    }
  }
}
