import { concatBytes } from '@cloister/crypto';
import type { FrameError } from './frame.ts';
import { FrameMux, type FrameMuxOptions } from './frameMux.ts';
import { systemTimers } from './limits.ts';

/** What is used of a WebSocket of the `ws` package, with `binaryType` "nodebuffer" and without compression. */
export type MessageSocket = {
  send(message: Uint8Array): void;
  on(event: 'message', listener: (message: unknown, isBinary: boolean) => void): unknown;
  on(event: 'close', listener: () => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  close(code: number, reason: string): void;
  terminate(): void;
};

/** What is used of the TCP or TLS socket under it. */
export type ByteSocket = {
  readonly writableLength: number;
  setNoDelay(noDelay: boolean): unknown;
  once(event: 'drain', listener: () => void): unknown;
};

const highWaterBytes = 131_072;
const packBytes = 32_768;
const closeWithinMs = 2_000;

/**
 * A mux over a WebSocket. Small frames of one turn leave as one message; when more than 128 kB wait in the socket, data
 * waits until it is drained. Closing either closes both.
 */
export function muxOverWebSocket(
  webSocket: MessageSocket,
  socket: ByteSocket,
  options: Omit<FrameMuxOptions, 'send'>,
): FrameMux {
  const timers = options.timers ?? systemTimers;
  let turn: Uint8Array[] = [];
  let turnBytes = 0;
  let draining: Promise<void> | undefined;
  let closing: unknown;
  socket.setNoDelay(true);

  const flush = (): void => {
    const [first] = turn;
    if (first === undefined) return;
    webSocket.send(turn.length === 1 ? first : concatBytes(...turn));
    turn = [];
    turnBytes = 0;
  };
  const mux = new FrameMux({
    ...options,
    send(frame) {
      if (turnBytes + frame.length > packBytes) flush();
      if (turn.push(frame) === 1) queueMicrotask(flush);
      turnBytes += frame.length;
      if (turnBytes > packBytes) flush();
      if (socket.writableLength < highWaterBytes) return undefined;
      draining ??= new Promise((resolve) =>
        socket.once('drain', () => {
          draining = undefined;
          resolve();
        }),
      );
      return draining;
    },
    onClose(error) {
      flush();
      const broken = error !== undefined && lostCodes.has(error.code);
      if (broken) webSocket.terminate();
      else {
        webSocket.close(error === undefined ? 1000 : 1002, error?.code ?? '');
        closing = timers.setTimeout(() => webSocket.terminate(), closeWithinMs);
      }
      options.onClose?.(error);
    },
  });
  webSocket.on('message', (message, isBinary) => {
    // A text message is no frame; an empty one is refused by its name.
    mux.receive(isBinary && message instanceof Uint8Array ? message : new Uint8Array());
  });
  webSocket.on('error', () => webSocket.terminate());
  webSocket.on('close', () => {
    timers.clearTimeout(closing);
    mux.close();
  });
  return mux;
}

/** The peer can't be told any more. */
const lostCodes: ReadonlySet<FrameError['code']> = new Set([
  'PEER_SILENT',
  'PEER_NOT_READING',
  'TRANSPORT_FAILED',
] as const);
