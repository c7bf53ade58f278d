import { writeSync } from 'node:fs';

const maxLineBytes = 2048;

/**
 * What a module prints, line by line, as the entries that the driver reads from this process's output. The write waits where
 * the driver reads no more: a flood costs the module its own time.
 */
export class GuestLog {
  #rest: Uint8Array<ArrayBufferLike> = new Uint8Array();

  add(bytes: Uint8Array): void {
    let rest = Buffer.concat([this.#rest, bytes]);
    for (;;) {
      const end = rest.indexOf(10);
      if (end === -1 && rest.length <= maxLineBytes) break;
      const cut = end === -1 || end > maxLineBytes ? maxLineBytes : end;
      print(rest.subarray(0, cut));
      rest = rest.subarray(cut === end ? cut + 1 : cut);
    }
    this.#rest = rest;
  }

  /** Prints what has no line break at its end. */
  end(): void {
    if (this.#rest.length > 0) print(this.#rest);
    this.#rest = new Uint8Array();
  }
}

function print(line: Uint8Array): void {
  printLine('log', new TextDecoder().decode(line));
}

/** An entry of its own, of at most so many characters. */
export function printLine(level: string, message: string): void {
  const entry = { level, message: message.slice(0, maxLineBytes) };
  let rest: Uint8Array = Buffer.from(`${JSON.stringify(entry)}\n`);
  while (rest.length > 0) rest = rest.subarray(writeSome(rest));
}

const sleeper = new Int32Array(new SharedArrayBuffer(4));
const retryMs = 2;

function writeSome(bytes: Uint8Array): number {
  try {
    return writeSync(1, bytes);
  } catch (error) {
    if ((error as { readonly code?: unknown }).code !== 'EAGAIN') throw error;
    Atomics.wait(sleeper, 0, 0, retryMs);
    return 0;
  }
}
