import type { Exchange, ExchangeHandlers, UnixRequest } from './exchange.ts';
import { LastWordSocket } from './lastWordSocket.ts';
import { type ResponseHead, ResponseParser } from './responseParser.ts';
import { openSocketSession } from './socketSession.ts';

/** A connection that was idle for longer may be closed by the other end at any moment (workerd does so after 5 s). */
const maxIdleMs = 3000;
/** A body up to this size goes out with the head in one piece. */
const smallBodyBytes = 16 * 1024;

/**
 * HTTP/1.1 over a Unix socket, one request at a time on each connection, which is used again. Everything that comes back
 * is checked strictly (see ResponseParser); nothing is retried.
 */
export class UnixHttpClient {
  readonly #socketPath: string;
  readonly #idle: { readonly connection: Connection; readonly sinceMs: number }[] = [];
  readonly #open = new Set<Connection>();
  readonly #sessions = new Set<Exchange>();

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  send(request: UnixRequest, handlers: ExchangeHandlers): Exchange {
    if (request.upgrade !== undefined) {
      const session = openSocketSession(this.#socketPath, request, handlers, () => this.#sessions.delete(session));
      this.#sessions.add(session);
      return session;
    }
    const connection = this.#takeIdle() ?? this.#connect();
    return connection.send(request, handlers);
  }

  close(): void {
    this.#idle.length = 0;
    for (const connection of this.#open) connection.destroy();
    for (const session of this.#sessions) session.abort();
  }

  #takeIdle(): Connection | undefined {
    const oldestMs = performance.now() - maxIdleMs;
    for (let entry = this.#idle.pop(); entry !== undefined; entry = this.#idle.pop()) {
      if (entry.sinceMs >= oldestMs && entry.connection.usable) return entry.connection;
      entry.connection.destroy();
    }
    return undefined;
  }

  #connect(): Connection {
    const connection = new Connection(new LastWordSocket(this.#socketPath), {
      free: () => this.#idle.push({ connection, sinceMs: performance.now() }),
      closed: () => this.#open.delete(connection),
    });
    this.#open.add(connection);
    return connection;
  }
}

class Connection implements Exchange {
  readonly #socket: LastWordSocket;
  readonly #owner: { readonly free: () => void; readonly closed: () => void };
  readonly #parser: ResponseParser;
  #handlers: ExchangeHandlers | undefined;
  #connected = false;
  #paused = false;
  #whole: ResponseHead['headers'] | undefined;
  /** Whether the present request's body is streamed: the other end may close the connection after it without a word. */
  #isStreamed = false;
  /** The body that is still being sent. */
  #sending: AsyncIterator<Uint8Array> | undefined;

  constructor(socket: LastWordSocket, owner: { readonly free: () => void; readonly closed: () => void }) {
    this.#socket = socket;
    this.#owner = owner;
    this.#parser = new ResponseParser({
      head: (head) => this.#handlers?.head(head),
      data: (chunk) => this.#handlers?.data(chunk),
      end: (trailers) => {
        this.#whole = trailers;
      },
    });
    socket.once('connect', () => {
      this.#connected = true;
    });
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => {
      owner.closed();
      this.#fail(socket.left ?? new Error('The connection was closed'));
    });
  }

  get usable(): boolean {
    return !this.#socket.destroyed && this.#socket.readyState === 'open';
  }

  send({ method, path, headers, body, input }: UnixRequest, handlers: ExchangeHandlers): Exchange {
    this.#handlers = handlers;
    this.#isStreamed = input !== undefined;
    this.#socket.ref();
    this.#parser.begin(method);
    let head = `${method} ${path} HTTP/1.1\r\n`;
    for (let index = 0; index + 1 < headers.length; index += 2) head += `${headers[index]}: ${headers[index + 1]}\r\n`;
    if (input !== undefined) head += 'transfer-encoding: chunked\r\n';
    else if (body.length > 0 || /^(?:post|put|patch)$/i.test(method)) head += `content-length: ${body.length}\r\n`;
    const bytes = Buffer.from(`${head}\r\n`, 'latin1');
    if (input !== undefined) {
      void this.#stream(bytes, input[Symbol.asyncIterator]());
    } else if (body.length <= smallBodyBytes)
      this.#socket.write(body.length === 0 ? bytes : Buffer.concat([bytes, body]));
    else {
      this.#socket.write(bytes);
      this.#socket.write(body);
    }
    return this;
  }

  /** Sends a body in chunks (RFC 9112 §7.1) until its end, or until nobody wants more of it. */
  async #stream(head: Uint8Array, parts: AsyncIterator<Uint8Array>): Promise<void> {
    this.#sending = parts;
    try {
      await this.#written(head);
      for (;;) {
        const { done, value } = await parts.next();
        if (this.#sending !== parts) return;
        // It takes no more: its answer, if there is one, is on its way, and then its end.
        if (this.#socket.left !== undefined) return this.#leaveInput();
        if (done) break;
        if (value.length > 0)
          await this.#written(Buffer.concat([latin1(`${value.length.toString(16)}\r\n`), value, latin1('\r\n')]));
      }
      this.#sending = undefined;
      this.#socket.write(latin1('0\r\n\r\n'));
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error('The request could not be read'));
    }
  }

  /** Resolves when the system has taken the bytes; rejects where nobody is there to. */
  #written(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.write(bytes, (error) => (error ? reject(error) : resolve()));
    });
  }

  /** Takes no more of a body that is still being sent. */
  #leaveInput(): void {
    const parts = this.#sending;
    this.#sending = undefined;
    parts?.return?.().then(undefined, () => undefined);
  }

  pause(): void {
    this.#paused = true;
    this.#socket.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#socket.resume();
  }

  abort(): void {
    this.#handlers = undefined;
    this.destroy();
  }

  destroy(): void {
    this.#leaveInput();
    this.#socket.destroy();
  }

  #take(chunk: Uint8Array): void {
    try {
      this.#parser.take(chunk);
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error('The answer could not be read'));
      return;
    }
    // Only now: bytes after the end, in the same piece, would have been taken for the next answer.
    if (this.#whole !== undefined) this.#ended(this.#whole);
  }

  #ended(trailers: ResponseHead['headers']): void {
    const handlers = this.#handlers;
    this.#handlers = undefined;
    this.#whole = undefined;
    if (this.#paused) this.resume();
    if (this.#parser.keepAlive && this.usable && !this.#isStreamed) {
      this.#socket.unref();
      this.#owner.free();
    } else this.destroy();
    if (trailers.length > 0) handlers?.trailers?.(trailers);
    handlers?.end();
  }

  #fail(error: Error): void {
    const handlers = this.#handlers;
    this.#handlers = undefined;
    this.destroy();
    handlers?.failed(error, this.#connected);
  }
}

function latin1(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}
