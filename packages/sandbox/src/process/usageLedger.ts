/** What one invocation has used, in the unit of its ledger. */
export type UsageShare = { used: number };

/**
 * Divides what a process uses of something, such as processor time, among the invocations in progress, evenly for as long as
 * they overlap. What is used while there is none goes to the next one. Nothing is lost: the shares add up to what the process
 * used.
 */
export class UsageLedger {
  readonly #read: () => number;
  readonly #open = new Set<UsageShare>();
  #last: number;
  #carried = 0;

  /** What was used before now is nobody's. */
  constructor(read: () => number) {
    this.#read = read;
    this.#last = read();
  }

  begin(): UsageShare {
    this.update();
    const share = { used: this.#carried };
    this.#carried = 0;
    this.#open.add(share);
    return share;
  }

  /** Charges what was used since the last look. */
  update(): void {
    const now = this.#read();
    // A process that has ended can't be read any more and reports nothing.
    const used = Math.max(0, now - this.#last);
    this.#last = Math.max(this.#last, now);
    if (this.#open.size === 0) this.#carried += used;
    for (const share of this.#open) share.used += used / this.#open.size;
  }

  end(share: UsageShare): void {
    this.update();
    this.#open.delete(share);
  }
}
