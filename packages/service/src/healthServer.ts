import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { CloisterError } from '@cloister/core';
import { type Metrics, metricsContentType } from './metrics.ts';

/** How a process is: `ok` false answers 503. Details are public to whoever reaches the port. */
export type Health = { readonly ok: boolean; readonly [detail: string]: unknown };

export type HealthServerOptions = {
  /** A loopback address: 127.0.0.1 or ::1. @default '127.0.0.1' */
  readonly host?: string;
  /** 0 for any free one. */
  readonly port: number;
  readonly metrics: Metrics;
  readonly health: () => Health;
};

export type HealthServer = { readonly url: string; stop(): Promise<void> };

/** Serves `GET /healthz` (JSON) and `GET /metrics` (Prometheus) to this machine only. Throws HealthServerError. */
export async function startHealthServer(options: HealthServerOptions): Promise<HealthServer> {
  const { host = '127.0.0.1', port, metrics, health } = options;
  if (host !== '127.0.0.1' && host !== '::1')
    throw new HealthServerError('HEALTH_NOT_LOOPBACK', `Expected a loopback address, got "${host}"`);
  const server = createServer({ headersTimeout: 5_000, requestTimeout: 5_000 }, (request, response) => {
    const send = (status: number, type: string, body: string): void =>
      void response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' }).end(body);
    if (request.method !== 'GET') send(405, 'text/plain', 'Only GET\n');
    else if (request.url === '/healthz') {
      const state = health();
      send(state.ok ? 200 : 503, 'application/json', `${JSON.stringify(state)}\n`);
    } else if (request.url === '/metrics') send(200, metricsContentType, metrics.text());
    else send(404, 'text/plain', 'There is /healthz and /metrics\n');
  });
  server.maxConnections = 64;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(
        new HealthServerError(
          'HEALTH_CANNOT_LISTEN',
          `Can't listen on ${host} port "${port}": ${cause.message}`,
          cause,
        ),
      ),
    );
    server.listen(port, host, resolve);
  });
  const address = server.address() as AddressInfo;
  return {
    url: `http://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

export class HealthServerError extends CloisterError<'HEALTH_NOT_LOOPBACK' | 'HEALTH_CANNOT_LISTEN'> {
  override readonly name = 'HealthServerError';
  constructor(code: 'HEALTH_NOT_LOOPBACK' | 'HEALTH_CANNOT_LISTEN', message: string, cause?: unknown) {
    super({ code, message, cause, hint: 'Give another port, or stop what uses it' });
  }
}
