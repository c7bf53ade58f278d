import {
  type Bytes32,
  CloisterError,
  describeError,
  encodeSocketFrame,
  type SocketFrame,
  SocketFrameReader,
} from '@cloister/core';
import { utf8 } from '@cloister/crypto';
import type { Call } from './call.ts';
import { CallError } from './callError.ts';
import type { SessionRequest } from './callTypes.ts';
import type { ExchangeReceipt } from './sealedFetch.ts';

/** Begins the call behind a session. */
export type SessionCall = (request: SessionRequest) => Promise<Call>;

export type SessionOptions = {
  /** Subprotocols to offer, as of a WebSocket. */
  readonly protocols?: readonly string[];
  readonly headers?: readonly (readonly [string, string])[];
};

/** Bytes that may wait to be sent; one message more closes the session. */
const maxBufferedBytes = 16 * 1024 * 1024;

/**
 * A WebSocket to an app, sealed to its worker: the events, methods and states of the standard's (WHATWG WebSockets), and the receipt of the
 * whole session. Its messages are bytes as ArrayBuffer, and texts.
 */
export class CloisterSocket extends EventTarget {
  static readonly CONNECTING = 0;
  static readonly OPEN = 1;
  static readonly CLOSING = 2;
  static readonly CLOSED = 3;

  onopen: ((event: Event) => unknown) | null = null;
  onmessage: ((event: MessageEvent<string | ArrayBuffer>) => unknown) | null = null;
  onclose: ((event: SocketCloseEvent) => unknown) | null = null;
  onerror: ((event: SocketErrorEvent) => unknown) | null = null;

  /** Of the whole session, both directions; undefined where it broke off or its receipt does not hold. Never rejects. */
  readonly receipt: Promise<ExchangeReceipt | undefined>;
  readonly binaryType = 'arraybuffer';
  readonly app: Bytes32;
  readonly #leaving = new AbortController();
  #readyState = CloisterSocket.CONNECTING;
  #protocol = '';
  #buffered = 0;
  #out: ReadableStreamDefaultController<Uint8Array> | undefined;
  #pending: Uint8Array[] = [];
  #ended = false;
  #wanted = false;
  #closeFrame: Extract<SocketFrame, { type: 'close' }> | undefined;
  #settle: (receipt: ExchangeReceipt | undefined) => void = () => {};

  constructor(app: Bytes32, path: string, { protocols = [], headers = [] }: SessionOptions, begin: SessionCall) {
    super();
    this.app = app;
    this.receipt = new Promise((resolve) => {
      this.#settle = resolve;
    });
    const body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#out = controller;
        },
        pull: () => {
          this.#wanted = true;
          this.#flush();
        },
      },
      { highWaterMark: 0 },
    );
    const offered = protocols.length === 0 ? [] : [['sec-websocket-protocol', protocols.join(', ')] as const];
    const request: SessionRequest = { method: 'GET', path, headers: [...headers, ...offered], body, follows: 'socket' };
    // After the constructor, so that listeners are there.
    queueMicrotask(() => void this.#run(begin, request));
  }

  /** 0 connecting, 1 open, 2 closing, 3 closed. */
  get readyState(): number {
    return this.#readyState;
  }

  /** The subprotocol that the app chose; '' where it chose none. */
  get protocol(): string {
    return this.#protocol;
  }

  /** Bytes that were given to `send` and have not gone out. */
  get bufferedAmount(): number {
    return this.#buffered;
  }

  /** Sends one message. Throws InvalidStateError before it is open, SOCKET_MESSAGE_TOO_LARGE. What comes after a close is dropped. */
  send(data: string | ArrayBuffer | ArrayBufferView): void {
    if (this.#readyState === CloisterSocket.CONNECTING)
      throw new DOMException('The session is not open yet', 'InvalidStateError');
    const frame = encodeSocketFrame(
      typeof data === 'string' ? { type: 'text', text: data } : { type: 'binary', bytes: bytesOf(data) },
    );
    if (this.#readyState !== CloisterSocket.OPEN) return;
    this.#push(frame);
    if (this.#buffered > maxBufferedBytes)
      this.#fail(new CallError('CALL_BODY_TOO_LARGE', 'Too much waits to be sent', false));
  }

  /** Begins to close: 1000, or 3000 to 4999, and at most 123 bytes of reason. */
  close(code = 1000, reason = ''): void {
    if (code !== 1000 && !(code >= 3000 && code <= 4999))
      throw new DOMException(`A session is closed with 1000, or 3000 to 4999, not "${code}"`, 'InvalidAccessError');
    if (utf8(reason).length > 123) throw new DOMException('A reason has at most 123 bytes', 'SyntaxError');
    if (this.#readyState >= CloisterSocket.CLOSING) return;
    if (this.#readyState === CloisterSocket.CONNECTING)
      return void this.#fail(new CallError('CALL_CONNECTION_LOST', 'The session was closed before it was open', false));
    this.#readyState = CloisterSocket.CLOSING;
    this.#endWith({ type: 'close', code, reason });
  }

  async #run(begin: SessionCall, request: SessionRequest): Promise<void> {
    const reader = new SocketFrameReader();
    try {
      const call = await begin(request);
      for await (const event of call.streamed(this.#leaving.signal)) {
        if (event.type === 'head') this.#begun(event);
        else if (event.type === 'body') for (const frame of reader.push(event.bytes)) this.#take(frame);
        else {
          const { status: outcome, payment, steps } = event.verified;
          const { worker } = event.route;
          const { receipt } = event;
          this.#closed({ worker, receipt, outcome, payment, steps: [...worker.steps, ...steps] });
        }
      }
    } catch (error) {
      this.#fail(this.#leaving.signal.aborted ? this.#leaving.signal.reason : error);
    }
  }

  #begun({ status, headers }: { status: number; headers: readonly (readonly [string, string])[] }): void {
    if (status !== 101)
      throw new CallError('CALL_NOT_UPGRADED', `The app answered "${status}", and no WebSocket`, false);
    this.#protocol = headers.find(([name]) => name === 'sec-websocket-protocol')?.[1] ?? '';
    if (this.#readyState === CloisterSocket.CONNECTING) this.#readyState = CloisterSocket.OPEN;
    this.#tell(new Event('open'), this.onopen);
  }

  #take(frame: SocketFrame): void {
    if (this.#closeFrame !== undefined || this.#readyState === CloisterSocket.CLOSED) return;
    if (frame.type === 'close') {
      this.#closeFrame = frame;
      this.#readyState = CloisterSocket.CLOSING;
      this.#endWith({ type: 'close', code: frame.code === 1006 ? 1000 : frame.code, reason: '' });
      return;
    }
    const data = frame.type === 'text' ? frame.text : (frame.bytes.buffer as ArrayBuffer);
    this.#tell(new MessageEvent('message', { data }), this.onmessage);
  }

  /** The receipt holds: what it says is how the session ended. */
  #closed(receipt: ExchangeReceipt): void {
    if (this.#readyState === CloisterSocket.CLOSED) return;
    this.#leave();
    this.#settle(receipt);
    const { limit } = receipt.receipt.details;
    const { code, reason } =
      receipt.outcome === 'ok'
        ? (this.#closeFrame ?? { code: 1005, reason: '' })
        : { code: receipt.outcome === 'limit' ? 1008 : 1011, reason: String(limit ?? receipt.outcome) };
    this.#tell(new SocketCloseEvent(code, reason, receipt.outcome === 'ok'), this.onclose);
  }

  #fail(error: unknown): void {
    if (this.#readyState === CloisterSocket.CLOSED) return;
    this.#leave();
    this.#leaving.abort(error);
    this.#settle(undefined);
    this.#tell(new SocketErrorEvent(error), this.onerror);
    // As a browser's: 1006 is a connection that ended without a close. Which of its reasons it was is told besides.
    const reason = error instanceof CloisterError ? error.code : describeError(error).slice(0, 100);
    this.#tell(new SocketCloseEvent(1006, reason, false), this.onclose);
  }

  #leave(): void {
    this.#readyState = CloisterSocket.CLOSED;
    this.#pending = [];
    this.#buffered = 0;
    this.#end();
  }

  #endWith(frame: SocketFrame): void {
    this.#push(encodeSocketFrame(frame));
    this.#ended = true;
    this.#flush();
  }

  #push(frame: Uint8Array): void {
    if (this.#ended) return;
    this.#pending.push(frame);
    this.#buffered += frame.length;
    this.#flush();
  }

  /** Hands frames on as they are asked for. */
  #flush(): void {
    if (!this.#wanted) return;
    const frame = this.#pending.shift();
    if (frame !== undefined) {
      this.#wanted = false;
      this.#buffered -= frame.length;
      this.#out?.enqueue(frame);
    } else if (this.#ended) this.#end();
  }

  #end(): void {
    this.#ended = true;
    try {
      this.#out?.close();
    } catch {
      // it has ended before, or nobody reads it
    }
    this.#out = undefined;
  }

  #tell<Told extends Event>(event: Told, handler: ((event: Told) => unknown) | null): void {
    handler?.call(this, event);
    this.dispatchEvent(event);
  }
}

/** As the standard's CloseEvent, which not every runtime has. */
export class SocketCloseEvent extends Event {
  readonly code: number;
  readonly reason: string;
  /** Whether the receipt says that the session ended as the app wished. */
  readonly wasClean: boolean;
  constructor(code: number, reason: string, wasClean: boolean) {
    super('close');
    this.code = code;
    this.reason = reason;
    this.wasClean = wasClean;
  }
}

/** Why a session broke off, before its "close". */
export class SocketErrorEvent extends Event {
  readonly error: unknown;
  constructor(error: unknown) {
    super('error');
    this.error = error;
  }
}

function bytesOf(data: ArrayBuffer | ArrayBufferView): Uint8Array {
  if (data instanceof ArrayBuffer) return new Uint8Array(data.slice(0));
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice();
}
