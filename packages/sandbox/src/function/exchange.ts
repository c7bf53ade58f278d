import { type Agent, type IncomingMessage, request as openRequest } from 'node:http';

export type ExchangeOptions = {
  readonly agent: Agent;
  readonly socketPath: string;
  readonly method: string;
  readonly path: string;
  /** Names and values in turn. */
  readonly headers: readonly string[];
  readonly body: Uint8Array;
  readonly signal: AbortSignal;
};

/** One HTTP/1.1 request over a Unix socket; settles with the head of the answer. */
export function exchange({
  agent,
  socketPath,
  method,
  path,
  headers,
  body,
  signal,
}: ExchangeOptions): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const length = body.length > 0 || method === 'POST' || method === 'PUT' || method === 'PATCH';
    const outgoing = openRequest({
      agent,
      socketPath,
      method,
      path,
      headers: length ? [...headers, 'content-length', String(body.length)] : headers,
      setHost: false,
      maxHeaderSize: 64 * 1024,
      signal,
    });
    outgoing.once('response', resolve);
    // Stays for the life of the request: a connection that breaks later is seen by the reader of the answer.
    outgoing.on('error', reject);
    outgoing.once('upgrade', (_answer, socket) => socket.destroy(new Error('the answer switched protocols')));
    outgoing.end(body);
  });
}
