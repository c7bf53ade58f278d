import {
  createServer,
  type IncomingMessage,
  request as openRequest,
  type Server,
  type ServerResponse,
} from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';

export type Relayed = {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
};

export type Answered = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  /** The connection is cut after so many bytes of the body. */
  readonly cutAfter?: number;
};

/** What the gateway in the middle does to those who trust it for nothing. Left out: it relays faithfully. */
export type Tamper = {
  /** Changes a request before it goes on, or answers it in the gateway's place. */
  readonly request?: (request: Relayed) => Promise<Relayed | Answered> | Relayed | Answered;
  /** Changes an answer before it goes back. */
  readonly answer?: (answer: Answered, request: Relayed) => Promise<Answered> | Answered;
};

/** One exchange as the client saw it: what it sent, and what came back to it. */
export type Exchange = { readonly request: Relayed; readonly answer: Answered };

/**
 * A gateway that lies: it stands before a real one, sees everything that passes, and changes what it likes. Clients are
 * pointed at it by `gateways: [url]`.
 */
export class HostileGateway {
  readonly #target: URL;
  readonly #server: Server;
  readonly #sockets = new Set<Duplex>();
  #sealed: Relayed[] = [];
  #exchanges: Exchange[] = [];
  #tamper: Tamper = {};
  #only: string | undefined;
  #url = '';

  private constructor(target: string) {
    this.#target = new URL(target);
    this.#server = createServer((request, response) => void this.#serve(request, response));
    this.#server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) =>
      this.#upgrade(request, socket, head),
    );
  }

  /** Stands before the gateway at `target`, on a free port of loopback. */
  static async start(target: string): Promise<HostileGateway> {
    const gateway = new HostileGateway(target);
    await new Promise<void>((resolve) => gateway.#server.listen(0, '127.0.0.1', resolve));
    gateway.#url = `http://127.0.0.1:${(gateway.#server.address() as AddressInfo).port}`;
    return gateway;
  }

  get url(): string {
    return this.#url;
  }

  /** Every sealed request that arrived since the start, or since `forget`, whatever became of it. */
  get sealed(): readonly Relayed[] {
    return this.#sealed;
  }

  /** What was asked and answered in that time. */
  get exchanges(): readonly Exchange[] {
    return this.#exchanges;
  }

  /** The calls among them. */
  get calls(): readonly Exchange[] {
    return this.#exchanges.filter(({ request }) => isCall(request));
  }

  forget(): void {
    this.#exchanges = [];
    this.#sealed = [];
  }

  /** Lists no worker but this one, or all again. A gateway may do that, and it makes scenarios repeatable. */
  offerOnly(workerId: string | undefined): void {
    this.#only = workerId;
  }

  /** Does that for as long as the work lasts, with nothing remembered from before. */
  async during<T>(tamper: Tamper, work: () => Promise<T>): Promise<T> {
    this.forget();
    this.#tamper = tamper;
    try {
      return await work();
    } finally {
      this.#tamper = {};
    }
  }

  /** Sends a request to the real gateway, as the gateway in the middle itself. */
  send(request: Relayed): Promise<Answered> {
    const { hostname, port } = this.#target;
    return new Promise((resolve, reject) => {
      const outgoing = openRequest(
        { hostname, port, method: request.method, path: request.path, headers: request.headers },
        (incoming) => {
          bytesOf(incoming).then(
            (body) => resolve({ status: incoming.statusCode ?? 0, headers: plainHeaders(incoming), body }),
            reject,
          );
        },
      );
      outgoing.on('error', reject);
      outgoing.end(request.body);
    });
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const request: Relayed = {
        method: incoming.method ?? 'GET',
        path: incoming.url ?? '/',
        headers: endToEnd(plainHeaders(incoming)),
        body: await bytesOf(incoming),
      };
      if (isCall(request)) this.#sealed.push(request);
      const { request: changeRequest, answer: changeAnswer } = this.#tamper;
      const next = (await changeRequest?.(request)) ?? request;
      const real = 'status' in next ? next : this.#filtered(next, await this.send(next));
      const answer = (await changeAnswer?.(real, request)) ?? real;
      this.#exchanges.push({ request, answer });
      deliver(response, answer);
    } catch {
      response.destroy();
    }
  }

  #filtered({ path }: Relayed, answer: Answered): Answered {
    if (this.#only === undefined || path.split('?')[0] !== '/v1/workers' || answer.status !== 200) return answer;
    const listed = JSON.parse(Buffer.from(answer.body).toString('utf8')) as { readonly workerId: string }[];
    return jsonAnswer(listed.filter(({ workerId }) => workerId === this.#only));
  }

  /** Workers that dial in are passed on as they are. */
  #upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    const other = connect(Number(this.#target.port), this.#target.hostname);
    for (const [one, two] of [
      [socket, other],
      [other, socket],
    ] as const) {
      this.#sockets.add(one);
      one.on('error', () => two.destroy());
      one.on('close', () => {
        this.#sockets.delete(one);
        two.destroy();
      });
    }
    const lines = Object.entries(plainHeaders(request)).map(([name, value]) => `${name}: ${value}`);
    other.write(`${request.method} ${request.url} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`);
    other.write(head);
    socket.pipe(other).pipe(socket);
  }
}

export function isCall({ path }: Pick<Relayed, 'path'>): boolean {
  return /^\/v1\/workers\/0x[0-9a-f]{64}\/call$/.test(path);
}

/** A gateway's JSON answer. */
export function jsonAnswer(value: unknown): Answered {
  const body = Buffer.from(JSON.stringify(value));
  return { status: 200, headers: { 'content-type': 'application/json' }, body };
}

/** A gateway's own refusal, as those that come before anything was delivered. */
export function problemAnswer(status: number): Answered {
  return { status, headers: { 'content-type': 'application/problem+json' }, body: Buffer.from('{}') };
}

function deliver(response: ServerResponse, answer: Answered): void {
  // With the length that the uncut answer would have: a cut shows as a cut.
  response.writeHead(answer.status, { ...endToEnd(answer.headers), 'content-length': answer.body.length });
  if (answer.cutAfter === undefined) response.end(answer.body);
  else response.write(answer.body.subarray(0, answer.cutAfter), () => response.destroy());
}

async function bytesOf(message: IncomingMessage): Promise<Uint8Array> {
  const parts: Buffer[] = [];
  for await (const part of message as AsyncIterable<Buffer>) parts.push(part);
  return Uint8Array.from(Buffer.concat(parts));
}

function plainHeaders(message: IncomingMessage): Record<string, string> {
  return Object.fromEntries(Object.entries(message.headers).map(([name, value]) => [name, String(value)]));
}

/** Without what belongs to one hop, and without the length, which is that of the body in the end. */
function endToEnd(headers: Record<string, string>): Record<string, string> {
  const own = new Set(['host', 'connection', 'transfer-encoding', 'content-length']);
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !own.has(name)));
}
