import type { ServerResponse } from 'node:http';
import { CloisterError } from '@cloister/core';

/** Everything that the gateway refuses, by name: HTTP status, title, and what the caller can do. */
const problems = {
  'bad-request': [400, 'Malformed request', 'Correct the request'],
  'length-required': [411, 'Content-Length missing', 'Send the body with a Content-Length'],
  'plaintext-call': [
    415,
    'A call in plain text',
    'Nothing of it was passed on. Seal it: fetchFor of @cloister/sdk, or "cloister proxy" for other HTTP clients; a payment by x402 goes inside the seal',
  ],
  'not-found': [404, 'Nothing here', 'See /v1/workers, /v1/blobs and /healthz'],
  'method-not-allowed': [405, 'Method not allowed', 'See the Allow header'],
  'request-too-large': [413, 'Request too large', 'Send less'],
  'rate-limited': [429, 'Too many requests', 'Wait as long as Retry-After says, or use another gateway'],
  'too-many-calls': [429, 'Too many calls at once', 'Wait until one of your calls is answered'],
  'worker-unknown': [404, 'Worker not known here', 'See /v1/workers, or ask another gateway'],
  'worker-not-connected': [502, 'Worker not connected', 'Try again soon, another gateway, or another worker'],
  'worker-disconnected': [
    502,
    'Worker disconnected',
    'Try the same worker again: it keeps its answers for some minutes',
  ],
  'worker-failed': [502, 'Worker failed', 'Try again, or another worker'],
  'worker-misbehaved': [502, 'Worker answered something else than an answer', 'Use another worker'],
  'worker-busy': [503, 'Worker busy', 'Try again soon, or another worker'],
  'worker-timeout': [
    504,
    'Worker did not answer in time',
    'Try the same worker again: it keeps its answers for some minutes',
  ],
  'blob-unknown': [404, 'Blob not stored here', 'Ask another gateway, or store it again'],
  'blob-hash-mismatch': [422, 'Content does not match its id', 'Name the blob by the SHA-256 of exactly these bytes'],
  'blob-store-full': [507, 'Blob store full', 'Use another gateway'],
  'storage-payment-required': [
    402,
    'Nothing is stored here for free',
    'Pay for the app with "cloister storage pay", and send its owner\u2019s claim with the upload',
  ],
  'claim-refused': [
    403,
    'Not the word of who may speak for the app',
    'Sign as the app\u2019s owner, for this gateway, now',
  ],
  'claims-unavailable': [503, 'Claims can’t be checked now', 'Try again soon'],
  'statement-unavailable': [503, 'No round statement to be had', 'Try again soon, or another gateway'],
  stopping: [503, 'Gateway stopping', 'Use another gateway, or try again soon'],
  internal: [500, 'Gateway failed', 'Try again, or use another gateway'],
} as const satisfies Record<string, readonly [status: number, title: string, hint: string]>;

export type ProblemCode = keyof typeof problems;

export const corsHeaders = {
  'access-control-allow-origin': '*',
  'access-control-expose-headers': 'content-type, content-length, retry-after, etag, link',
} as const;

/** What no answer of the gateway may become in a browser: a page of the gateway's origin. */
export const inertHeaders = {
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'none'; sandbox",
} as const;

/** Sends the problem as RFC 9457 JSON, or cuts the connection where an answer has already begun. */
export function sendProblem(response: ServerResponse, error: ProblemError): void {
  if (response.destroyed || response.writableEnded) return;
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const body = Buffer.from(
    JSON.stringify({
      type: 'about:blank',
      title: error.title,
      status: error.status,
      code: error.code,
      detail: error.message,
      hint: error.hint,
    }),
  );
  response.writeHead(error.status, {
    ...corsHeaders,
    ...inertHeaders,
    ...error.headers,
    'cache-control': 'no-store',
    'content-type': 'application/problem+json',
    'content-length': body.length,
  });
  response.end(body);
}

export class ProblemError extends CloisterError<ProblemCode> {
  override readonly name = 'ProblemError';
  readonly status: number;
  readonly title: string;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    code: ProblemCode,
    detail: string,
    options: { readonly headers?: Readonly<Record<string, string>>; readonly cause?: unknown } = {},
  ) {
    const [status, title, hint] = problems[code];
    super({ code, message: detail, hint, retry: status >= 500 || status === 429, cause: options.cause });
    this.status = status;
    this.title = title;
    this.headers = options.headers ?? {};
  }
}
