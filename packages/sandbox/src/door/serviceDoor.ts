import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { CloisterError } from '@cloister/core';
import { SandboxError } from '../sandboxError.ts';
import type { TenantServices } from '../services.ts';
import { doorCalls } from './doorCalls.ts';
import { decodeDoorMessage } from './message.ts';

/** An invocation that may use the door, until it is closed. */
export type OpenInvocation = { readonly token: string; readonly close: () => void };

/** Which invocation a request through the door belongs to; made here, known to that invocation alone. */
export const invocationHeader = 'cloister-invocation';

/** Bytes of one request: an app's call at its largest. */
export const maxServiceRequestBytes = 8 * 1024 * 1024 + 64 * 1024;
/** Bytes of all requests of one process that are being read or answered. */
const maxServiceRequestBytesInAll = 16 * 1024 * 1024;
/** Requests of one process in progress at once. */
export const maxServiceRequestsAtOnce = 32;
/** Requests of one invocation, one after the other. */
export const maxServiceRequestsPerInvocation = 1_000;
/** How long a request may take to come in. */
const requestTimeoutMs = 10_000;

type Invocation = { readonly services: TenantServices; readonly ending: AbortController; requests: number };

/**
 * The way from one tenant's process to the services of its worker: a socket of its own, like the gate's. Nothing comes through but
 * the requests of `doorCalls`, each in the name of an invocation that is in progress, bounded in size, number and time. Whoever holds the
 * process holds its app's services, and no others.
 */
export class ServiceDoor {
  readonly #server: Server;
  readonly #invocations = new Map<string, Invocation>();
  #requests = 0;
  #bytes = 0;

  constructor() {
    this.#server = createServer({ maxHeaderSize: 4 * 1024, headersTimeout: requestTimeoutMs });
    this.#server.requestTimeout = requestTimeoutMs;
    this.#server.maxConnections = 2 * maxServiceRequestsAtOnce;
    this.#server.on('request', (request, response) => void this.#handle(request, response));
    this.#server.on('clientError', (_error, socket) => socket.destroy());
  }

  listen(socketPath: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(socketPath, () => {
        this.#server.removeListener('error', reject);
        resolve();
      });
    });
  }

  /** Opens the door for one invocation. What still runs for it when it is closed is told by its signal. */
  open(services: TenantServices): OpenInvocation {
    const token = randomBytes(16).toString('hex');
    const invocation = { services, ending: new AbortController(), requests: 0 };
    this.#invocations.set(token, invocation);
    return {
      token,
      close: () => {
        this.#invocations.delete(token);
        invocation.ending.abort();
      },
    };
  }

  async close(): Promise<void> {
    for (const { ending } of this.#invocations.values()) ending.abort();
    this.#invocations.clear();
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on('error', () => {});
    try {
      const answer = await this.#answer(request);
      response.writeHead(200, { 'content-length': answer.length }).end(answer);
    } catch (error) {
      fail(request, response, error);
    }
  }

  /** Throws INVOCATION_OVER, SERVICE_LIMIT, SERVICE_BUSY, SERVICE_REQUEST_INVALID and what the service throws. */
  async #answer(request: IncomingMessage): Promise<Buffer> {
    const invocation = this.#invocations.get(String(request.headers[invocationHeader]));
    if (invocation === undefined) throw refused('INVOCATION_OVER', 'The invocation that this belongs to is over');
    const call = doorCalls.get((request.url ?? '').slice(1));
    if (call === undefined || request.method !== 'POST')
      throw refused('SERVICE_REQUEST_INVALID', 'The worker has no such service');
    invocation.requests += 1;
    if (invocation.requests > maxServiceRequestsPerInvocation)
      throw refused(
        'SERVICE_LIMIT',
        `An invocation makes at most "${maxServiceRequestsPerInvocation}" requests to the worker's services`,
      );
    if (this.#requests >= maxServiceRequestsAtOnce)
      throw refused('SERVICE_BUSY', `"${maxServiceRequestsAtOnce}" requests of the app wait for the worker's services`);
    this.#requests += 1;
    const reading = { bytes: 0 };
    try {
      const message = decodeDoorMessage(await this.#read(request, reading));
      const { signal } = invocation.ending;
      if (signal.aborted) throw refused('INVOCATION_OVER', 'The invocation that this belongs to is over');
      return await call(invocation.services, message, { signal });
    } finally {
      this.#requests -= 1;
      this.#bytes -= reading.bytes;
    }
  }

  async #read(request: IncomingMessage, reading: { bytes: number }): Promise<Buffer> {
    const parts: Buffer[] = [];
    for await (const part of request as AsyncIterable<Buffer>) {
      reading.bytes += part.length;
      this.#bytes += part.length;
      if (reading.bytes > maxServiceRequestBytes)
        throw refused(
          'SERVICE_LIMIT',
          `A request to the worker's services has at most "${maxServiceRequestBytes}" bytes`,
        );
      if (this.#bytes > maxServiceRequestBytesInAll)
        throw refused('SERVICE_BUSY', "The app's other requests to the worker's services leave no room for this one");
      parts.push(part);
    }
    return Buffer.concat(parts);
  }
}

type DoorCode = 'INVOCATION_OVER' | 'SERVICE_LIMIT' | 'SERVICE_BUSY' | 'SERVICE_REQUEST_INVALID';

function refused(code: DoorCode, message: string): SandboxError {
  return new SandboxError({ code, message, retry: code === 'SERVICE_BUSY' });
}

/** Of what is no error of ours, the handler learns nothing but that it happened. */
function fail(request: IncomingMessage, response: ServerResponse, error: unknown): void {
  const { code, message, retry } =
    error instanceof CloisterError ? error : { code: 'SERVICE_FAILED', message: 'The worker failed', retry: false };
  if (response.destroyed) return;
  const body = Buffer.from(JSON.stringify({ code, message: message.slice(0, 1_024), retry }));
  // A request that was not read to its end leaves its connection of no use.
  const headers = { 'content-length': body.length, ...(request.complete ? {} : { connection: 'close' }) };
  response.writeHead(422, headers).end(body, () => {
    if (!request.complete) request.destroy();
  });
}
