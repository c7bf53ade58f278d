import { connect, type Socket } from 'node:net';
import { type ResponseHead, ResponseParser } from './responseParser.ts';

export type UnixRequest = {
  readonly method: string;
  /** Printable ASCII without spaces. */
  readonly path: string;
  /** Names and values in turn, each fit for a header line; without a length, which is added. */
  readonly headers: readonly string[];
  readonly body: Uint8Array;
};

export type ExchangeHandlers = {
  readonly head: (head: ResponseHead) => void;
  readonly data: (chunk: Uint8Array) => void;
  readonly end: () => void;
  /** The answer can't be had, or not whole. `sent` is false where the request certainly never left. */
  readonly failed: (error: Error, sent: boolean) => void;
};

/** A request in progress. After `abort` none of its handlers is called. */
export interface Exchange {
  pause(): void;
  resume(): void;
  abort(): void;
}

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

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  send(request: UnixRequest, handlers: ExchangeHandlers): Exchange {
    const connection = this.#takeIdle() ?? this.#connect();
    return connection.send(request, handlers);
  }

  close(): void {
    this.#idle.length = 0;
    for (const connection of this.#open) connection.destroy();
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
    const connection = new Connection(connect(this.#socketPath), {
      free: () => this.#idle.push({ connection, sinceMs: performance.now() }),
      closed: () => this.#open.delete(connection),
    });
    this.#open.add(connection);
    return connection;
  }
}

class Connection implements Exchange {
  readonly #socket: Socket;
  readonly #owner: { readonly free: () => void; readonly closed: () => void };
  readonly #parser: ResponseParser;
  #handlers: ExchangeHandlers | undefined;
  #connected = false;
  #paused = false;
  #whole = false;

  constructor(socket: Socket, owner: { readonly free: () => void; readonly closed: () => void }) {
    this.#socket = socket;
    this.#owner = owner;
    this.#parser = new ResponseParser({
      head: (head) => this.#handlers?.head(head),
      data: (chunk) => this.#handlers?.data(chunk),
      end: () => {
        this.#whole = true;
      },
    });
    socket.once('connect', () => {
      this.#connected = true;
    });
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => {
      owner.closed();
      this.#fail(new Error('The connection was closed'));
    });
  }

  get usable(): boolean {
    return !this.#socket.destroyed && this.#socket.readyState === 'open';
  }

  send({ method, path, headers, body }: UnixRequest, handlers: ExchangeHandlers): Exchange {
    this.#handlers = handlers;
    this.#socket.ref();
    this.#parser.begin(method);
    let head = `${method} ${path} HTTP/1.1\r\n`;
    for (let index = 0; index + 1 < headers.length; index += 2) head += `${headers[index]}: ${headers[index + 1]}\r\n`;
    if (body.length > 0 || /^(?:post|put|patch)$/i.test(method)) head += `content-length: ${body.length}\r\n`;
    const bytes = Buffer.from(`${head}\r\n`, 'latin1');
    if (body.length <= smallBodyBytes) this.#socket.write(body.length === 0 ? bytes : Buffer.concat([bytes, body]));
    else {
      this.#socket.write(bytes);
      this.#socket.write(body);
    }
    return this;
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
    if (this.#whole) this.#ended();
  }

  #ended(): void {
    const handlers = this.#handlers;
    this.#handlers = undefined;
    this.#whole = false;
    if (this.#paused) this.resume();
    if (this.#parser.keepAlive && this.usable) {
      this.#socket.unref();
      this.#owner.free();
    } else this.destroy();
    handlers?.end();
  }

  #fail(error: Error): void {
    const handlers = this.#handlers;
    this.#handlers = undefined;
    this.destroy();
    handlers?.failed(error, this.#connected);
  }
}
