import { requestMediaType, requestStreamMediaType, responseMediaType } from '@cloister/channel/client';
import { readBounded } from '@cloister/core';
import { CallError } from './callError.ts';
import type { Route } from './route.ts';
import { maxProblemBytes, undelivered } from './undelivered.ts';

/** Sends a sealed request by its way; answers the sealed answer's response. Throws CALL_CONNECTION_LOST, CALL_KEY_REFUSED, CALL_NOT_DELIVERED. */
export function sendSealed(
  fetch: typeof globalThis.fetch,
  route: Route,
  encapsulated: Uint8Array,
  signal: AbortSignal,
): Promise<Response> {
  const body = new Blob([encapsulated as Uint8Array<ArrayBuffer>]);
  return send(fetch, route, { headers: { 'content-type': requestMediaType }, body, signal });
}

/** The same for a request whose body is still on its way. */
export function sendStreamed(
  fetch: typeof globalThis.fetch,
  route: Route,
  body: ReadableStream<Uint8Array>,
  signal: AbortSignal,
): Promise<Response> {
  // Half duplex is all that the standard has; Node.js and most other servers' runtimes let answers begin before all the same.
  const init = { headers: { 'content-type': requestStreamMediaType }, body, signal, duplex: 'half' };
  return send(fetch, route, init as RequestInit);
}

async function send(fetch: typeof globalThis.fetch, { gateway, worker }: Route, init: RequestInit): Promise<Response> {
  const response = await fetch(`${gateway}/v1/workers/${worker.workerId}/call`, {
    ...init,
    method: 'POST',
    redirect: 'error',
  }).catch((cause: unknown) => {
    throw new CallError('CALL_CONNECTION_LOST', `The connection to gateway ${gateway} broke`, true, cause);
  });
  if (response.status === 200 && response.headers.get('content-type') === responseMediaType) return response;
  const body = await readBounded(response, maxProblemBytes).catch(() => new Uint8Array());
  throw undelivered(gateway, { status: response.status, contentType: response.headers.get('content-type'), body });
}

/** The answer's bytes as they arrive; a connection that breaks gives CALL_CONNECTION_LOST. */
export async function* bodyOf(response: Response): AsyncGenerator<Uint8Array> {
  const reader = response.body?.getReader();
  try {
    for (;;) {
      const next = await reader?.read().catch((cause: unknown) => {
        throw new CallError('CALL_CONNECTION_LOST', 'The connection broke in the middle of the answer', true, cause);
      });
      if (next === undefined || next.done) return;
      yield next.value;
    }
  } finally {
    await reader?.cancel().catch(() => {});
  }
}
