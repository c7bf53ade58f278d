import { host } from './bridge.ts';
import { copyOf, utf8 } from './bytes.ts';

/** Encoding Standard §8.3. */
export class TextEncoder {
  get encoding(): string {
    return 'utf-8';
  }

  encode(text: string | undefined = ''): Uint8Array {
    return new Uint8Array(utf8(`${text}`));
  }

  encodeInto(text: string, target: Uint8Array): { read: number; written: number } {
    if (!(target instanceof Uint8Array)) throw new TypeError('encodeInto: the target is no Uint8Array');
    let [read, written] = [0, 0];
    for (const character of `${text}`) {
      const bytes = new Uint8Array(utf8(character));
      if (written + bytes.length > target.length) break;
      target.set(bytes, written);
      read += character.length;
      written += bytes.length;
    }
    return { read, written };
  }
}

const labels = ['unicode-1-1-utf-8', 'unicode11utf8', 'unicode20utf8', 'utf-8', 'utf8', 'x-unicode20utf8'];

/** Encoding Standard §8.1, of UTF-8 alone. */
export class TextDecoder {
  readonly #fatal: boolean;
  readonly #ignoreBom: boolean;
  #rest = new Uint8Array();
  #begun = false;

  constructor(label: string = 'utf-8', options: { fatal?: boolean; ignoreBOM?: boolean } | undefined = {}) {
    if (!labels.includes(`${label}`.trim().toLowerCase()))
      throw new RangeError(`TextDecoder: the encoding "${label}" is not offered, "utf-8" alone is`);
    this.#fatal = Boolean(options?.fatal);
    this.#ignoreBom = Boolean(options?.ignoreBOM);
  }

  get encoding(): string {
    return 'utf-8';
  }

  get fatal(): boolean {
    return this.#fatal;
  }

  get ignoreBOM(): boolean {
    return this.#ignoreBom;
  }

  decode(input?: unknown, { stream = false }: { stream?: boolean } = {}): string {
    const given = new Uint8Array(input === undefined ? new ArrayBuffer(0) : copyOf(input, 'decode: the input'));
    const bytes = new Uint8Array(this.#rest.length + given.length);
    bytes.set(this.#rest);
    bytes.set(given, this.#rest.length);
    const end = stream ? bytes.length - unfinished(bytes) : bytes.length;
    this.#rest = bytes.slice(end);
    const text = host('decode', bytes.buffer.slice(0, end), this.#fatal);
    if (text === undefined) {
      this.#reset();
      throw new TypeError('The encoded data was not valid for encoding utf-8');
    }
    const shown = !this.#begun && !this.#ignoreBom && text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
    if (stream) this.#begun ||= end > 0;
    else this.#reset();
    return shown;
  }

  #reset(): void {
    this.#rest = new Uint8Array();
    this.#begun = false;
  }
}

/** How many bytes at the end may be the beginning of a character that goes on. */
function unfinished(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back += 1) {
    const byte = bytes[bytes.length - back] ?? 0;
    if (byte >= 0x80 && byte < 0xc0) continue;
    const length =
      byte >= 0xf0 && byte <= 0xf4 ? 4 : byte >= 0xe0 && byte < 0xf0 ? 3 : byte >= 0xc2 && byte < 0xe0 ? 2 : 1;
    if (length <= back) return 0;
    return isPrefix(bytes.subarray(bytes.length - back)) ? back : 0;
  }
  return 0;
}

/** Whether the second byte is one that may follow the first (Unicode, table 3-7): if not, what came is malformed already. */
function isPrefix([first = 0, second]: Uint8Array): boolean {
  if (second === undefined) return true;
  const least = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
  const most = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
  return second >= least && second <= most;
}
