import type { IncomingMessage, ServerResponse } from 'node:http';
import { corsHeaders, inertHeaders, ProblemError } from './problem.ts';

/** One request being answered. */
export type Exchange = {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** What limits count by. */
  readonly client: string;
};

/** Begins an answer with the headers that every answer of the gateway has. */
export function begin(
  { response }: Exchange,
  status: number,
  headers: Readonly<Record<string, string | number>>,
): void {
  response.writeHead(status, { ...corsHeaders, ...inertHeaders, ...headers });
}

/** Sends a whole JSON answer that may not be cached. */
export function sendJson(
  exchange: Exchange,
  status: number,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  begin(exchange, status, {
    'content-type': 'application/json',
    'cache-control': 'no-cache',
    'content-length': Buffer.byteLength(body),
    ...headers,
  });
  exchange.response.end(exchange.request.method === 'HEAD' ? undefined : body);
}

/** Waits until the client has taken what was written; false when it is gone. */
export function drained(response: ServerResponse): Promise<boolean> {
  if (response.destroyed) return Promise.resolve(false);
  return new Promise((resolve) => {
    const settle = (): void => {
      response.off('drain', settle);
      response.off('close', settle);
      resolve(!response.destroyed);
    };
    response.on('drain', settle);
    response.on('close', settle);
  });
}

/** The body as it arrives. Leaving it early keeps the connection, so that an answer can still go out. */
export function bodyOf(request: IncomingMessage): AsyncIterable<Uint8Array> {
  return { [Symbol.asyncIterator]: () => request.iterator({ destroyOnReturn: false }) };
}

/** The declared length of the body: null where it is chunked. Throws REQUEST_TOO_LARGE beyond `max`. */
export function declaredLength(request: IncomingMessage, max: number): number | null {
  const header = request.headers['content-length'];
  // Node.js has refused anything but one decimal number.
  const length = header === undefined ? null : Number(header);
  if (length !== null && length > max) throw tooLarge(max);
  return length;
}

export function tooLarge(max: number): ProblemError {
  return new ProblemError('request-too-large', `The body may have at most ${max} bytes`);
}

/** The answer to what came too often. `waitMs` as TokenBuckets gives it. */
export function rateLimited(what: string, waitMs: number): ProblemError {
  const seconds = Math.min(86_400, Math.ceil(waitMs / 1000));
  return new ProblemError('rate-limited', `Too many ${what} from this address`, {
    headers: { 'retry-after': String(seconds) },
  });
}
