import { concatBytes } from '@cloister/crypto';

/** What may follow the last event, in bytes: comments that fill its piece, and no more events, which nobody would read. */
const maxHeldBytes = 65_536;

const lineFeed = 0x0a;
const carriageReturn = 0x0d;
/** The line by which OpenAI's streams end, with the space that an event stream may leave out (WHATWG HTML 9.2.6) and without. */
const lastLines: readonly Uint8Array[] = ['data: [DONE]', 'data:[DONE]'].map((line) => new TextEncoder().encode(line));

/**
 * The end of an event stream, kept back until the receipt holds. OpenAI's clients stop reading at `data: [DONE]` and take the answer for
 * whole: given out as it comes, nobody would notice that the receipt behind it is missing or false. Other bytes pass at once, but for the
 * few of an unfinished line that may become that one.
 */
export class HeldEnd {
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #isLast = false;
  #isLineStart = true;

  /** The bytes that can be shown now, which may be none. Throws TypeError where too many follow the last event. */
  push(bytes: Uint8Array): Uint8Array {
    if (this.#isLast) return this.#hold(bytes);
    const data = concatBytes(...this.#held, bytes);
    this.#held = [];
    for (let at = this.#isLineStart ? 0 : nextLine(data, 0); at !== undefined; at = nextLine(data, at)) {
      const rest = data.subarray(at);
      this.#isLast = lastLines.some((line) => startsAlike(rest, line) && rest.length >= line.length);
      if (!this.#isLast && !lastLines.some((line) => startsAlike(rest, line))) continue;
      this.#isLineStart = true;
      this.#hold(rest);
      return data.subarray(0, at);
    }
    this.#isLineStart = false;
    return data;
  }

  /** What was kept back: call it once the receipt holds. */
  release(): Uint8Array {
    return concatBytes(...this.#held);
  }

  #hold(bytes: Uint8Array): Uint8Array {
    this.#held.push(bytes);
    this.#heldBytes = this.#isLast ? this.#heldBytes + bytes.length : 0;
    if (this.#heldBytes > maxHeldBytes)
      throw new TypeError(`More than "${maxHeldBytes}" bytes follow the last event of the answer, "data: [DONE]"`);
    return new Uint8Array();
  }
}

/** Where the line after this place begins; undefined where it does not begin in these bytes. */
function nextLine(data: Uint8Array, from: number): number | undefined {
  for (let at = from; at < data.length; at += 1)
    if (data[at] === lineFeed || data[at] === carriageReturn) return at + 1;
  return undefined;
}

/** Whether the two are the same as far as both go. */
function startsAlike(one: Uint8Array, other: Uint8Array): boolean {
  const length = Math.min(one.length, other.length);
  for (let at = 0; at < length; at += 1) if (one[at] !== other[at]) return false;
  return true;
}
