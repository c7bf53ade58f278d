import { encodeSocketFrame } from '@cloister/core';

/** How long a WebSocket session may be silent in both directions. */
export const sessionIdleMs = 60_000;

/** Ends a session in which nothing is said: the app is told as by a close of the caller's. */
export class SessionIdle {
  readonly #idleMs: number;
  #heardAtMs = performance.now();

  constructor(idleMs: number = sessionIdleMs) {
    this.#idleMs = idleMs;
  }

  /** Something was said. */
  touch(): void {
    this.#heardAtMs = performance.now();
  }

  /** The caller's frames, and a close with 1001 after a long silence. */
  async *watched(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    const frames = source[Symbol.asyncIterator]();
    const leaving = new AbortController();
    try {
      for (;;) {
        const next = await Promise.race([frames.next(), this.#silence(leaving.signal)]);
        if (next === 'silent') {
          yield encodeSocketFrame({ type: 'close', code: 1001, reason: `idle for ${this.#idleMs} ms` });
          return;
        }
        if (next.done) return;
        this.touch();
        yield next.value;
      }
    } finally {
      leaving.abort();
      frames.return?.().then(undefined, () => undefined);
    }
  }

  /** Resolves once nothing was said for so long; never after the signal. */
  #silence(signal: AbortSignal): Promise<'silent'> {
    return new Promise((resolve) => {
      let timer: ReturnType<typeof setTimeout>;
      const look = (): void => {
        const leftMs = this.#heardAtMs + this.#idleMs - performance.now();
        if (leftMs <= 0) resolve('silent');
        else timer = setTimeout(look, leftMs);
      };
      look();
      signal.addEventListener('abort', () => clearTimeout(timer), { once: true });
    });
  }
}
