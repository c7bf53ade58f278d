import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import {
  CloisterError,
  describeError,
  encodeSocketFrame,
  maxSocketMessageBytes,
  SocketFrameReader,
} from '@cloister/core';
import type { Invocation, InvocationRequest, Outcome } from '@cloister/sandbox';
import { type WebSocket, WebSocketServer } from 'ws';

export type DevServerInit = {
  readonly port: number;
  /** Bytes of a request's body. */
  readonly maxInputBytes: number;
  /** Whether bodies go to the app while they come. */
  readonly streams: boolean;
  readonly invoke: (request: InvocationRequest) => Promise<Invocation>;
  /** Once for each request, when its answer is over. */
  readonly answered: (line: string) => void;
};

const socketStatus = 101;

/** The app at a plain address of loopback: requests as they come, WebSockets too. */
export class DevServer {
  readonly #init: DevServerInit;
  readonly #server: Server;
  readonly #sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: maxSocketMessageBytes,
  });

  constructor(init: DevServerInit) {
    this.#init = init;
    this.#server = createServer((request, response) => void this.#answer(request, response));
    this.#server.on('upgrade', (request, socket, head) => void this.#upgrade(request, socket, head));
  }

  /** Listens, and answers its URL. Throws where the port is taken. */
  async start(): Promise<string> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject).listen(this.#init.port, '127.0.0.1', resolve);
    });
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  stop(): void {
    for (const socket of this.#sockets.clients) socket.close(1001, 'cloister dev ends');
    this.#server.closeAllConnections();
    this.#server.close();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const hasBody =
        request.headers['transfer-encoding'] !== undefined || Number(request.headers['content-length']) > 0;
      const canStream = this.#init.streams && !['GET', 'HEAD'].includes(request.method ?? 'GET');
      const input = this.#bounded(request);
      const body = hasBody && !canStream ? await gathered(input) : new Uint8Array();
      const answer = await this.#init.invoke({
        ...requestOf(request, body),
        ...(hasBody && canStream && { input }),
      });
      response.writeHead(answer.status, headersOf(answer).flat());
      for await (const bytes of answer.body)
        if (!response.write(bytes))
          await new Promise((resolve) => response.once('drain', resolve).once('close', resolve));
      response.end();
      this.#tell(request, answer.status, await answer.finished);
    } catch (error) {
      if (response.headersSent) response.destroy();
      else response.writeHead(error instanceof TooLargeError ? 413 : 500).end(describeError(error));
    }
  }

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on('error', () => socket.destroy());
    const toApp = new FrameQueue();
    try {
      const answer = await this.#init.invoke({
        ...requestOf(request, new Uint8Array()),
        input: toApp,
        upgrade: 'websocket',
      });
      if (answer.status !== socketStatus) {
        const parts: Uint8Array[] = [];
        for await (const bytes of answer.body) parts.push(bytes);
        const body = Buffer.concat(parts);
        socket.end(
          Buffer.concat([
            Buffer.from(
              `HTTP/1.1 ${answer.status} Refused\r\nconnection: close\r\ncontent-length: ${body.length}\r\n\r\n`,
            ),
            body,
          ]),
        );
        return;
      }
      this.#sockets.handleUpgrade(request, socket, head, (webSocket) => {
        this.#join(webSocket, answer, toApp)
          .then((outcome) => this.#tell(request, answer.status, outcome))
          .catch((error: unknown) => webSocket.close(1011, describeError(error).slice(0, 100)));
      });
    } catch (error) {
      toApp.end();
      socket.end(`HTTP/1.1 500 Failed\r\nconnection: close\r\n\r\n${describeError(error)}`);
    }
  }

  /** Carries messages both ways until one side closes, or the app's limits end it. */
  async #join(webSocket: WebSocket, answer: Invocation, toApp: FrameQueue): Promise<Outcome> {
    webSocket.on('message', (data, isBinary) => {
      const bytes = data as Buffer;
      toApp.push(
        encodeSocketFrame(isBinary ? { type: 'binary', bytes } : { type: 'text', text: bytes.toString('utf8') }),
      );
    });
    webSocket.on('error', () => webSocket.terminate());
    webSocket.on('close', (code, reason) => {
      toApp.push(encodeSocketFrame({ type: 'close', code, reason: reason.toString('utf8') }));
      toApp.end();
    });
    const reader = new SocketFrameReader();
    for await (const bytes of answer.body)
      for (const frame of reader.push(bytes)) {
        if (frame.type !== 'close') webSocket.send(frame.type === 'text' ? frame.text : frame.bytes);
        else if (frame.code === 1005 || frame.code === 1006) webSocket.close();
        else webSocket.close(frame.code, frame.reason);
      }
    const outcome = await answer.finished;
    if (outcome.status !== 'ok')
      webSocket.close(outcome.status === 'limit' ? 1008 : 1011, outcome.limit ?? outcome.status);
    return outcome;
  }

  async *#bounded(request: IncomingMessage): AsyncGenerator<Uint8Array, void, undefined> {
    const { maxInputBytes } = this.#init;
    let length = 0;
    for await (const part of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>) {
      length += part.length;
      if (length > maxInputBytes) throw new TooLargeError(maxInputBytes);
      yield part;
    }
  }

  #tell({ method, url }: IncomingMessage, status: number, { status: ended, message, metering }: Outcome): void {
    const why = message === undefined ? '' : ` (${message})`;
    this.#init.answered(`${method} ${url} → ${status} ${ended}${why}, ${metering.wallMs.toFixed(1)} ms`);
  }
}

/** Frames on their way to the app: what comes while it reads nothing waits here, within a bound. */
class FrameQueue implements AsyncIterable<Uint8Array> {
  readonly #frames: Uint8Array[] = [];
  #bytes = 0;
  #ended = false;
  #wake = (): void => {};

  push(frame: Uint8Array): void {
    this.#bytes += frame.length;
    if (this.#bytes > 16 * maxSocketMessageBytes) this.#ended = true;
    else this.#frames.push(frame);
    this.#wake();
  }

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    for (;;) {
      for (let frame = this.#frames.shift(); frame !== undefined; frame = this.#frames.shift()) {
        this.#bytes -= frame.length;
        yield frame;
      }
      if (this.#ended) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

function requestOf(request: IncomingMessage, body: Uint8Array): InvocationRequest {
  const headers = Object.entries(request.headers).flatMap(([name, value]): [string, string][] =>
    value === undefined ? [] : [[name, String(value)]],
  );
  return { method: request.method ?? 'GET', path: request.url ?? '/', headers, body };
}

function headersOf({ headers }: Invocation): [string, string][] {
  return headers
    .map(([name, value]): [string, string] => [name, value])
    .filter(([name]) => name !== 'transfer-encoding');
}

async function gathered(parts: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const all: Uint8Array[] = [];
  for await (const part of parts) all.push(part);
  return Buffer.concat(all);
}

class TooLargeError extends CloisterError<'REQUEST_TOO_LARGE'> {
  override readonly name = 'TooLargeError';
  constructor(max: number) {
    super({
      code: 'REQUEST_TOO_LARGE',
      message: `A request has at most "${max}" bytes`,
      hint: 'Allow more with --input-mb',
    });
  }
}
