import { chmod, lstat, unlink } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type Admission, admission } from './admission.ts';
import type { GuestAgent } from './guestAgent.ts';
import { GuestError } from './guestError.ts';
import { answerHttp, type HttpAnswer, methodOfPath, refusal } from './protocol/httpAnswer.ts';
import { maxRequestBytes } from './protocol/requests.ts';

export type ServeGuestOptions = {
  /** Where to listen: a path of at most 107 bytes at which nothing is, in a folder that only this worker can write to. */
  readonly path: string;
  readonly agent: GuestAgent;
  /** Ends the socket. */
  readonly signal: AbortSignal;
};

/** A guest socket that listens. */
export type GuestSocket = {
  /** Ends it and takes it away; whoever is being answered is cut off. */
  close(): Promise<void>;
};

/** Connections of one guest. */
export const maxGuestConnections = 64;
/** How long a request may take to come in, headers and body, and to be answered. */
const requestTimeoutMs = 5_000;
const answerTimeoutMs = 60_000;
/** How often what is too slow is looked for. */
const sweepMs = 500;
/** Of Linux (unix(7)), without the zero at its end. */
const maxPathBytes = 107;

/**
 * dstack's guest socket for one instance of an app: HTTP over a unix socket, to be bound into a container as `/var/run/dstack.sock`.
 * Whoever reaches the socket is the app. Everything is bounded; one connection carries one request. Throws GUEST_SOCKET_UNUSABLE.
 */
export async function serveGuest({ path, agent, signal }: ServeGuestOptions): Promise<GuestSocket> {
  signal.throwIfAborted();
  await assertUsable(path);
  const ending = new AbortController();
  const server = createServer({
    maxHeaderSize: 8 * 1024,
    headersTimeout: requestTimeoutMs,
    requestTimeout: requestTimeoutMs,
    connectionsCheckingInterval: sweepMs,
    keepAlive: false,
  });
  server.maxConnections = maxGuestConnections;
  server.on('clientError', (_error, socket) => socket.destroy());
  const admit = admission(() => performance.now());
  server.on('request', (request, response) => void handle(agent, admit, request, response, ending.signal));
  await listening(server, path);
  // The folder around it lets nobody else in; inside its walls, the app's own user has to reach it.
  await chmod(path, 0o666);
  let closed: Promise<void> | undefined;
  const end = (): void => void close();
  const close = (): Promise<void> =>
    (closed ??= (async () => {
      // The signal may live longer than this socket, with one listener for each that there ever was.
      signal.removeEventListener('abort', end);
      ending.abort();
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      await unlink(path).catch(() => {});
    })());
  signal.addEventListener('abort', end, { once: true });
  if (signal.aborted) await close();
  return { close };
}

async function handle(
  agent: GuestAgent,
  admit: Admission,
  request: IncomingMessage,
  response: ServerResponse,
  ending: AbortSignal,
): Promise<void> {
  response.on('error', () => {});
  const path = request.url ?? '';
  const gone = new AbortController();
  response.on('close', () => gone.abort());
  let admitted: ReturnType<Admission> | undefined;
  try {
    admitted = admit();
    const body = await readBody(request);
    const signal = AbortSignal.any([ending, gone.signal, AbortSignal.timeout(answerTimeoutMs)]);
    send(request, response, await answerHttp(agent, { httpMethod: request.method ?? '', path, body }, signal));
  } catch (error) {
    send(request, response, refusal(error, methodOfPath(path)));
  } finally {
    admitted?.done();
  }
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > maxRequestBytes)
      throw new GuestError('GUEST_REQUEST_TOO_LARGE', `A request has at most "${maxRequestBytes}" bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}

function send(request: IncomingMessage, response: ServerResponse, { status, contentType, body }: HttpAnswer): void {
  if (response.destroyed) return;
  const headers = { 'content-type': contentType, 'content-length': Buffer.byteLength(body), connection: 'close' };
  response.writeHead(status, headers).end(body, () => {
    if (!request.complete) request.destroy();
  });
}

async function assertUsable(path: string): Promise<void> {
  if (!path.startsWith('/') || path.includes('\0') || Buffer.byteLength(path) > maxPathBytes)
    throw unusable(path, `its path has to be absolute, of at most "${maxPathBytes}" bytes`);
  const found = await lstat(path).catch(() => undefined);
  if (found !== undefined) throw unusable(path, 'something is there already');
}

function listening(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (cause: Error) => reject(unusable(path, cause.message));
    server.once('error', fail);
    server.listen(path, () => {
      server.off('error', fail);
      resolve();
    });
  });
}

function unusable(path: string, why: string): GuestError {
  return new GuestError('GUEST_SOCKET_UNUSABLE', `No guest socket can be at "${path.slice(0, 200)}": ${why}`);
}
