import { type IncomingMessage, request as openRequest, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { SandboxError } from '../sandboxError.ts';

export type ForwardLimits = { readonly requestBytes: number; readonly responseBytes: number };

export type Forwarding = {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** A connection to the origin, used for this one request. */
  readonly socket: Socket;
  readonly url: URL;
  readonly limits: ForwardLimits;
  /** Told of every byte that goes on, both ways. */
  readonly passed: (bytes: number) => void;
  readonly signal: AbortSignal;
};

/** Sends the tenant's request to the origin and the origin's answer back, both bounded. */
export async function forward({ request, response, socket, url, limits, passed, signal }: Forwarding): Promise<void> {
  try {
    // Without an agent, which would ignore the connection given and make its own. One connection is for one request.
    const headers = ['host', url.host, ...forwardedHeaders(request.rawHeaders), ...bodyHeaders(request)];
    passed(headBytes(url.href, headers));
    const outgoing = openRequest({
      createConnection: () => socket,
      method: request.method ?? 'GET',
      path: `${url.pathname}${url.search}`,
      headers,
      setHost: false,
      maxHeaderSize: 32 * 1024,
      signal,
    });
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      outgoing.once('response', resolve);
      outgoing.on('error', reject);
      outgoing.once('upgrade', (_answer, upgraded: Socket) => {
        upgraded.destroy();
        reject(new SandboxError({ code: 'OUTBOUND_REFUSED', message: 'The origin switched protocols' }));
      });
    });
    const sent = pipeline(request, bounded(limits.requestBytes, passed), outgoing, { signal });
    // An origin may answer before it has read everything; then the rest of the request doesn't matter.
    sent.catch((error: unknown) => outgoing.destroy(error instanceof Error ? error : undefined));
    const answer = await answered;
    passed(headBytes('', answer.rawHeaders));
    response.writeHead(answer.statusCode ?? 502, forwardedHeaders(answer.rawHeaders));
    await pipeline(answer, bounded(limits.responseBytes, passed), response, { signal });
  } finally {
    socket.destroy();
  }
}

/** Headers that concern one connection only (RFC 9110 §7.6.1), the ones we set ourselves, and names that are the gate's own. */
const dropped = new Set([
  ...['connection', 'keep-alive', 'proxy-connection', 'proxy-authenticate', 'proxy-authorization'],
  ...['te', 'trailer', 'transfer-encoding', 'upgrade', 'host', 'expect'],
]);

function forwardedHeaders(rawHeaders: readonly string[]): string[] {
  const kept: string[] = [];
  const named = connectionOptions(rawHeaders);
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? '';
    const lower = name.toLowerCase();
    if (dropped.has(lower) || named.has(lower) || lower.startsWith('cloister-')) continue;
    kept.push(name, rawHeaders[index + 1] ?? '');
  }
  return kept;
}

/** Names that the Connection header declares to be of one connection only. */
function connectionOptions(rawHeaders: readonly string[]): Set<string> {
  const names = new Set<string>();
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    if (rawHeaders[index]?.toLowerCase() !== 'connection') continue;
    for (const name of rawHeaders[index + 1]?.split(',') ?? []) names.add(name.trim().toLowerCase());
  }
  // Its length belongs to the message, whatever a sender claims.
  names.delete('content-length');
  return names;
}

/** A request without a length comes in chunks, and goes on in chunks. */
function bodyHeaders(request: IncomingMessage): string[] {
  return request.headers['transfer-encoding'] === undefined ? [] : ['transfer-encoding', 'chunked'];
}

/** A message's head: its first line, and each field with what stands around it. */
function headBytes(target: string, headers: readonly string[]): number {
  return headers.reduce((sum, text) => sum + text.length + 2, target.length + 16);
}

function bounded(limit: number, passed: (bytes: number) => void): Transform {
  let total = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      total += chunk.length;
      if (total > limit)
        done(
          new SandboxError({
            code: 'OUTBOUND_REFUSED',
            message: `An outbound body is longer than ${limit} bytes`,
            meta: { limit },
          }),
        );
      else {
        passed(chunk.length);
        done(null, chunk);
      }
    },
  });
}
