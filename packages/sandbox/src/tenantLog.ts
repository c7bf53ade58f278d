import type { LogLine } from './sandbox.ts';

const maxLines = 1000;
const maxMessageCharacters = 4096;
const maxTotalCharacters = 256 * 1024;

/** The last lines that one tenant printed. */
export class TenantLog {
  #lines: LogLine[] = [];
  #characters = 0;
  #first = 0;

  add(level: LogLine['level'], message: string): void {
    const cut = message.length > maxMessageCharacters ? `${message.slice(0, maxMessageCharacters)}…` : message;
    this.#lines.push({ timeMs: Date.now(), level, message: cut });
    this.#characters += cut.length;
    while (this.#lines.length - this.#first > maxLines || this.#characters > maxTotalCharacters) {
      this.#characters -= this.#lines[this.#first]?.message.length ?? 0;
      this.#first += 1;
    }
    // Dropped lines are let go in bulk, so that adding one stays cheap.
    if (this.#first > maxLines) {
      this.#lines = this.#lines.slice(this.#first);
      this.#first = 0;
    }
  }

  lines(): readonly LogLine[] {
    return this.#lines.slice(this.#first);
  }
}
