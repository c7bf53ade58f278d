/**
 * Passes a text on as it comes, up to the first of the texts that end it. What may be the beginning of one is held back
 * until it is known not to be.
 */
export class StopTexts {
  readonly #stops: readonly string[];
  readonly #pass: (text: string) => void;
  #held = '';
  #text = '';
  #stopped = false;

  constructor(stops: readonly string[], pass: (text: string) => void) {
    this.#stops = stops;
    this.#pass = pass;
  }

  /** All that was passed on. */
  get text(): string {
    return this.#text;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  push(text: string): void {
    if (this.#stopped) return;
    this.#held += text;
    const found = this.#stops.map((stop) => this.#held.indexOf(stop)).filter((at) => at !== -1);
    if (found.length > 0) {
      this.#stopped = true;
      this.#release(Math.min(...found));
    } else this.#release(this.#held.length - this.#begun());
  }

  /** There is no more: what is held back was no beginning. */
  end(): void {
    if (!this.#stopped) this.#release(this.#held.length);
  }

  /** How many characters at the end are the beginning of a stop text. */
  #begun(): number {
    const longest = Math.max(0, ...this.#stops.map((stop) => stop.length - 1));
    for (let length = Math.min(longest, this.#held.length); length > 0; length -= 1) {
      const tail = this.#held.slice(-length);
      if (this.#stops.some((stop) => stop.startsWith(tail))) return length;
    }
    return 0;
  }

  #release(length: number): void {
    const text = this.#held.slice(0, length);
    this.#held = this.#held.slice(length);
    if (text === '') return;
    this.#text += text;
    this.#pass(text);
  }
}
