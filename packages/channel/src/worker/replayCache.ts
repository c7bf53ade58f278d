import { latin1 } from '../shared/fieldSection.ts';

/** The encapsulated keys of every request that one HPKE key has opened. Lives exactly as long as that key. */
export class ReplayCache {
  readonly #seen = new Set<string>();
  readonly #capacity: number;
  #closed = false;

  /** @param capacity requests; about 100 bytes of memory each */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get isFull(): boolean {
    return this.#seen.size >= this.#capacity;
  }

  has(encapsulatedKey: Uint8Array): boolean {
    return this.#seen.has(latin1(encapsulatedKey));
  }

  /** Remembers an encapsulated key. "closed": nothing can be remembered any more, so nothing may be accepted. */
  add(encapsulatedKey: Uint8Array): 'added' | 'known' | 'closed' {
    const text = latin1(encapsulatedKey);
    if (this.#seen.has(text)) return 'known';
    if (this.#closed || this.isFull) return 'closed';
    this.#seen.add(text);
    return 'added';
  }

  /** Forgets everything, together with the key. */
  close(): void {
    this.#closed = true;
    this.#seen.clear();
  }
}
