/** How often one tenant's process may be started again. */
export type RestartPolicy = { readonly burst: number; readonly perSecond: number };

/** A bucket of starts: `burst` at once, refilled at a steady rate. */
export class RestartLimit {
  readonly #policy: RestartPolicy;
  readonly #now: () => number;
  #tokens: number;
  #refilledMs: number;

  constructor(policy: RestartPolicy, now: () => number = () => performance.now()) {
    this.#policy = policy;
    this.#now = now;
    this.#tokens = policy.burst;
    this.#refilledMs = now();
  }

  /** Takes a start, or says that it's too early for one. */
  take(): boolean {
    const now = this.#now();
    const earned = ((now - this.#refilledMs) / 1000) * this.#policy.perSecond;
    this.#tokens = Math.min(this.#policy.burst, this.#tokens + earned);
    this.#refilledMs = now;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}
