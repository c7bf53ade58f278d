import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Bytes32, CloisterError, describeError, jcsId } from '@cloister/core';
import type { Exchange, ExchangeReceipt, ProofFile } from '@cloister/sdk';
import { ProxyError, refuseForeign } from './proxyErrors.ts';

export type ProxyComponents = {
  /** The way to an app. */
  readonly exchangeFor: (app: Bytes32) => (request: Request) => Promise<Exchange>;
  /** An app by what stands for it in the path. */
  readonly resolveApp: (text: string) => Promise<Bytes32>;
  readonly proofOf: (receipt: ExchangeReceipt) => ProofFile;
  /** One line about each request. */
  readonly note: (line: string) => void;
};

export type ProxyInit = {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** The only app, to which whole paths go; undefined where the first part of a path names it. */
  readonly app: string | undefined;
  readonly maxBodyBytes: number;
  /** Of an answer that is held back until its receipt is verified. */
  readonly maxHeldBytes: number;
  readonly maxAtOnce: number;
  /** How long requests under way may take once the proxy stops. ms */
  readonly drainMs: number;
};

export const defaultProxyInit: ProxyInit = {
  host: '127.0.0.1',
  port: 0,
  app: undefined,
  maxBodyBytes: 8 * 1024 * 1024,
  maxHeldBytes: 64 * 1024 * 1024,
  maxAtOnce: 64,
  drainMs: 10_000,
};

/** Where the proxy itself answers. */
const proofsPath = '/.cloister/proofs/';
const maxProofs = 1_000;
const maxApps = 256;
/** Answers that are of use before they are whole. */
const streamedTypes = /^(?:text\/event-stream|application\/(?:x-ndjson|jsonl|json-seq))(?:;|$)/i;
const streamHeader = 'x-cloister-stream';
const receiptHeader = 'x-cloister-receipt';

/**
 * Plain HTTP on this machine in front of sealed calls: each request is sealed, sent, answered and verified by the SDK. An answer is held back until
 * its receipt holds, then it goes with `x-cloister-receipt: ok`. One that streams says so in its trailers, and is cut off where its receipt does not
 * hold.
 */
export class ProxyServer {
  readonly #components: ProxyComponents;
  readonly #init: ProxyInit;
  readonly #server;
  readonly #stopping = new AbortController();
  readonly #proofs = new Map<string, ProofFile>();
  readonly #apps = new Map<string, Promise<Bytes32>>();
  readonly #running = new Set<Promise<void>>();

  constructor(components: ProxyComponents, init: ProxyInit = defaultProxyInit) {
    this.#components = components;
    this.#init = init;
    this.#server = createServer({ headersTimeout: 10_000, requestTimeout: 120_000 }, (request, response) => {
      const running = this.#handle(request, response).finally(() => this.#running.delete(running));
      this.#running.add(running);
    });
    this.#server.maxConnections = 4 * init.maxAtOnce;
  }

  /** Listens; answers the URL. Throws PROXY_CANNOT_LISTEN. */
  async start(): Promise<string> {
    const { host, port } = this.#init;
    await new Promise<void>((resolve, reject) => {
      const failed = (cause: Error): void =>
        reject(
          new ProxyError('PROXY_CANNOT_LISTEN', 500, `Can't listen on ${host} port "${port}": ${cause.message}`, {
            hint: 'Give another --port',
            cause,
          }),
        );
      this.#server.once('error', failed).listen(port, host, resolve);
    });
    const address = this.#server.address() as AddressInfo;
    return `http://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`;
  }

  /** Takes no more, lets what is under way end, and cuts off what takes too long. */
  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    const cut = setTimeout(() => this.#stopping.abort(), this.#init.drainMs);
    await Promise.all(this.#running);
    clearTimeout(cut);
    this.#server.closeAllConnections();
    await closed;
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const leaving = new AbortController();
    response.on('close', () => {
      if (!response.writableFinished) leaving.abort(new Error('The client left'));
    });
    const path = (request.url ?? '/').slice(0, 200).replace(/\?.*/, '');
    try {
      refuseForeign(request, this.#init.host);
      if (request.url?.startsWith(proofsPath)) return this.#proof(request.url.slice(proofsPath.length), response);
      if (this.#running.size >= this.#init.maxAtOnce)
        throw new ProxyError('PROXY_BUSY', 503, `"${this.#init.maxAtOnce}" requests are under way`);
      const signal = AbortSignal.any([leaving.signal, this.#stopping.signal]);
      const { app, path: inner } = await this.#target(request.url ?? '/');
      const isAsked = request.headers[streamHeader] !== undefined;
      const exchange = await this.#components.exchangeFor(app)(await this.#requestOf(request, inner, signal));
      const type = exchange.response.headers.get('content-type') ?? '';
      if (isAsked || streamedTypes.test(type)) await this.#stream(exchange, response);
      else await this.#hold(exchange, response);
      this.#components.note(`${request.method} ${path} → ${exchange.response.status}`);
    } catch (error) {
      this.#components.note(`${request.method} ${path}: ${describeError(error)}`);
      sendError(response, error);
    }
  }

  /** The app and the path inside it. Throws PROXY_NO_APP, and what looking the app up throws. */
  async #target(url: string): Promise<{ readonly app: Bytes32; readonly path: string }> {
    if (this.#init.app !== undefined) return { app: await this.#app(this.#init.app), path: url };
    const [, name = '', path = ''] = /^\/([^/?]+)(.*)$/.exec(url) ?? [];
    if (name === '')
      throw new ProxyError('PROXY_NO_APP', 404, 'The path names no app', {
        hint: 'Ask for /APP/PATH, or start with --app',
      });
    return { app: await this.#app(decoded(name)), path: path.startsWith('/') ? path : `/${path}` };
  }

  #app(text: string): Promise<Bytes32> {
    let app = this.#apps.get(text);
    if (app === undefined) {
      app = this.#components.resolveApp(text);
      this.#apps.set(text, app);
      app.catch(() => this.#apps.delete(text));
      if (this.#apps.size > maxApps) this.#apps.delete(this.#apps.keys().next().value as string);
    }
    return app;
  }

  async #requestOf(request: IncomingMessage, path: string, signal: AbortSignal): Promise<Request> {
    const body = await this.#body(request);
    const headers = new Headers();
    for (let at = 0; at + 1 < request.rawHeaders.length; at += 2) {
      const [name = '', value = ''] = request.rawHeaders.slice(at, at + 2);
      if (name.toLowerCase() !== streamHeader) headers.append(name, value);
    }
    const method = request.method ?? 'GET';
    const isBodyless = method === 'GET' || method === 'HEAD';
    if (isBodyless && body.length > 0)
      throw new ProxyError('PROXY_BODY_REFUSED', 400, `A request with method "${method}" has no body`);
    return new Request(new URL(`http://app.invalid${path}`), {
      method,
      headers,
      signal,
      ...(isBodyless ? {} : { body }),
    });
  }

  async #body(request: IncomingMessage): Promise<Uint8Array<ArrayBuffer>> {
    const parts: Buffer[] = [];
    let length = 0;
    for await (const part of request as AsyncIterable<Buffer>) {
      length += part.length;
      if (length > this.#init.maxBodyBytes)
        throw new ProxyError('PROXY_BODY_TOO_LARGE', 413, `A request has at most ${this.#init.maxBodyBytes} bytes`);
      parts.push(part);
    }
    return Uint8Array.from(Buffer.concat(parts));
  }

  /** Reads the whole answer and its receipt first. */
  async #hold({ response: answer, receipt }: Exchange, response: ServerResponse): Promise<void> {
    const parts: Uint8Array[] = [];
    let length = 0;
    for await (const part of answer.body ?? []) {
      length += part.length;
      if (length > this.#init.maxHeldBytes)
        throw new ProxyError(
          'PROXY_ANSWER_TOO_LARGE',
          502,
          `An answer that is held back has at most ${this.#init.maxHeldBytes} bytes`,
          {
            hint: `Ask for it with "${streamHeader}: 1"`,
          },
        );
      parts.push(part);
    }
    const headers = [...headersOf(answer), ...this.#proven(await receipt)];
    // The length of a body that is not sent is the app's to say.
    const ofBody = answer.body === null ? [] : ['content-length', String(length)];
    response.writeHead(answer.status, [...headers.flat(), ...ofBody]);
    response.end(Buffer.concat(parts));
  }

  /** Passes parts on as they come; what is proven stands in the trailers. */
  async #stream({ response: answer, receipt }: Exchange, response: ServerResponse): Promise<void> {
    const names = [receiptHeader, 'x-cloister-worker', 'x-cloister-outcome', 'x-cloister-proof', 'x-cloister-payment'];
    const trailer = answer.body === null ? [] : ['trailer', names.join(', '), receiptHeader, 'trailer'];
    response.writeHead(answer.status, [...headersOf(answer).flat(), ...trailer]);
    response.flushHeaders();
    for await (const part of answer.body ?? []) {
      if (response.destroyed) return;
      if (!response.write(part)) await drained(response);
    }
    if (answer.body !== null) response.addTrailers(this.#proven(await receipt));
    response.end();
  }

  /** What is proven of an answer, as headers; of one that nobody gave, that there is no receipt. */
  #proven(receipt: ExchangeReceipt | undefined): [string, string][] {
    if (receipt === undefined) return [[receiptHeader, 'none']];
    const proof = this.#components.proofOf(receipt);
    const id = jcsId(proof);
    this.#proofs.set(id, proof);
    if (this.#proofs.size > maxProofs) this.#proofs.delete(this.#proofs.keys().next().value as string);
    const { scheme } = receipt.payment;
    return [
      [receiptHeader, 'ok'],
      ['x-cloister-worker', receipt.worker.workerId],
      ['x-cloister-outcome', receipt.outcome],
      ['x-cloister-proof', id],
      ['x-cloister-payment', scheme === 'exact' ? 'exact; the receipt does not guard the sum' : scheme],
    ];
  }

  #proof(id: string, response: ServerResponse): void {
    const proof = this.#proofs.get(id);
    if (proof === undefined)
      throw new ProxyError('PROXY_PROOF_UNKNOWN', 404, `There is no proof "${id.slice(0, 80)}" here`, {
        hint: `The newest ${maxProofs} are kept, as long as the proxy runs`,
      });
    response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-store' });
    response.end(`${JSON.stringify(proof)}\n`);
  }
}

function headersOf({ headers }: Response): [string, string][] {
  return [...headers].filter(([name]) => name !== 'content-length' && name !== 'trailer');
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    response.once('drain', resolve).once('close', resolve);
  });
}

/** A named error as JSON; where an answer has begun already, it is cut off. */
function sendError(response: ServerResponse, error: unknown): void {
  if (response.destroyed || response.writableEnded) return;
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const described =
    error instanceof CloisterError ? error.toJSON() : { code: 'PROXY_FAILED', message: describeError(error) };
  const status = error instanceof ProxyError ? error.status : statusOf(error);
  response.writeHead(status, {
    'content-type': 'application/json',
    'cache-control': 'no-store',
    [receiptHeader]: 'none',
    ...(status === 413 ? { connection: 'close' } : {}),
  });
  response.end(`${JSON.stringify({ error: described })}\n`);
}

/** Whatever kept a proven answer away is a bad gateway; the rest is the request's own fault, or the time's. */
function statusOf(error: unknown): number {
  const code = error instanceof CloisterError ? error.code : '';
  if (code === 'DEADLINE_EXCEEDED' || (error instanceof Error && error.name === 'TimeoutError')) return 504;
  if (code === 'REGISTRY_APP_UNKNOWN' || code === 'NO_KEY') return 404;
  if (code === 'CALL_HEADER_REFUSED' || code === 'HEADER_REFUSED') return 400;
  return code.startsWith('PAYMENT_') ? 402 : 502;
}
