import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import type { PaidStorage } from '@cloister/chain';
import { type Address, type Bytes32, CloisterError, type RecordDomain, roundStatementToJson } from '@cloister/core';
import { type Counter, clientOf, type Logger, type Metrics, metricsContentType, TokenBuckets } from '@cloister/service';
import { BlobRoutes } from './blobRoutes.ts';
import { BlobStore } from './blobStore.ts';
import { CallAdmission } from './callAdmission.ts';
import { CallRoute } from './callRoute.ts';
import { ClaimChecks } from './claimChecks.ts';
import { Directory } from './directory.ts';
import { sendAnnouncement, sendDirectory } from './directoryRoutes.ts';
import { begin, type Exchange, rateLimited, sendJson } from './exchange.ts';
import type { GatewayLimits } from './limits.ts';
import { graceEpochs, keptBytesOf, PaidStorageWatch } from './paidStorageWatch.ts';
import { sendPreflight } from './preflight.ts';
import { ProblemError, sendProblem } from './problem.ts';
import { RoundStatements } from './roundStatements.ts';
import { type Route, routeOf, sessionWorkerOf } from './routes.ts';
import { SessionRoute } from './sessionRoute.ts';
import { StorageRoutes } from './storageRoutes.ts';
import { WorkerDoor } from './workerDoor.ts';

export type GatewayComponents = {
  /** The receipt signer that the registry names for an active worker; undefined where it names none. */
  readonly resolveSigner: (workerId: Bytes32, signal: AbortSignal) => Promise<Address | undefined>;
  /** URLs of the network's gatekeepers; empty where it has none. */
  readonly gatekeepers: (signal: AbortSignal) => Promise<readonly string[]>;
  /** An app's owner by the chain; zero where there is no such app. */
  readonly ownerOf: (app: Bytes32, signal: AbortSignal) => Promise<Address>;
  /** Whether an active worker signs receipts with it. */
  readonly isActiveSigner: (signer: Address, signal: AbortSignal) => Promise<boolean>;
  /** What this gateway is paid to keep, as the chain says now. */
  readonly paidStorage: (signal: AbortSignal) => Promise<PaidStorage>;
  /** Chain and registry of the network: what workers' hellos and apps' claims are signed for. */
  readonly domain: RecordDomain;
  readonly log: Logger;
  readonly metrics: Metrics;
};

export type GatewayInit = {
  readonly host: string;
  /** 0 for any free one. */
  readonly port: number;
  /** How clients and workers reach it, as the network file names it. @default http://host:port */
  readonly publicUrl?: string | undefined;
  /** Folder for blobs. */
  readonly dataDir: string;
  readonly limits: GatewayLimits;
  /** Account that gets the gateway's part of fees; undefined where it asks for none. */
  readonly payTo?: string | undefined;
  /** Proxies of ours in front, each adding an entry to X-Forwarded-For. @default 0 */
  readonly trustedProxies?: number;
};

const stopWithinMs = 3_000;

/**
 * An untrusted relay: it carries sealed bytes between clients and the workers that dialled in, serves their
 * announcements as a hint, and stores blobs by their hash. It can drop and delay, never read or forge.
 */
export class Gateway {
  readonly #components: GatewayComponents;
  readonly #init: GatewayInit;
  readonly #server: Server;
  readonly #directory = new Directory();
  readonly #blobs: BlobStore;
  readonly #door: WorkerDoor;
  readonly #calls: CallRoute;
  readonly #sessions: SessionRoute;
  readonly #blobRoutes: BlobRoutes;
  readonly #storageRoutes: StorageRoutes;
  readonly #paid: PaidStorageWatch;
  readonly #statements: RoundStatements;
  readonly #reads: TokenBuckets;
  readonly #requests: Counter;
  readonly #counters = new Map<string, { add(): void }>();
  #url = '';
  #stopping = false;

  constructor(components: GatewayComponents, init: GatewayInit) {
    const { metrics, log } = components;
    const { limits } = init;
    const directory = this.#directory;
    this.#components = components;
    this.#init = init;
    this.#requests = metrics.counter({ name: 'cloister_gateway_requests_total', help: 'Requests by route and status' });
    this.#blobs = new BlobStore({
      folder: join(init.dataDir, 'blobs'),
      maxTotalBytes: limits.blobStoreBytes,
      maxUnpaidBytes: limits.freeBlobBytes,
      namedBytesPerApp: limits.freeBlobBytesPerApp,
    });
    this.#paid = new PaidStorageWatch({
      read: components.paidStorage,
      everyMs: limits.storagePollMs,
      log,
      changed: (paid) => this.#blobs.setQuota((app) => keptBytesOf(paid, app)),
    });
    const checks = new ClaimChecks({
      ...components,
      known: () => this.#paid.known,
      refresh: () => this.#paid.refresh(),
      publicUrl: () => this.publicUrl,
    });
    this.#storageRoutes = new StorageRoutes(this.#blobs, checks, this.#paid);
    this.#blobRoutes = new BlobRoutes(this.#blobs, this.#storageRoutes, limits, log);
    this.#statements = new RoundStatements({ members: components.gatekeepers, log });
    this.#reads = new TokenBuckets({ burst: limits.readBurstPerClient, perSecond: limits.readsPerSecondPerClient });
    this.#door = new WorkerDoor({
      ...components,
      directory,
      limits,
      refused: metrics.counter({
        name: 'cloister_gateway_workers_refused_total',
        help: 'Worker connections refused or cut, by reason',
      }),
      publicUrl: () => this.publicUrl,
    });
    const relayedBytes = metrics.counter({
      name: 'cloister_gateway_answer_bytes_total',
      help: 'Bytes of answers relayed',
    });
    const admission = new CallAdmission(limits);
    this.#sessions = new SessionRoute({ directory, limits, admission, relayedBytes });
    this.#calls = new CallRoute({
      directory,
      limits,
      admission,
      relayedBytes,
      seconds: metrics.histogram({
        name: 'cloister_gateway_call_seconds',
        help: 'Calls, from their headers to their last byte',
      }),
    });
    metrics.gaugeOf({ name: 'cloister_gateway_workers', help: 'Workers connected' }, () => directory.size);
    metrics.gaugeOf({ name: 'cloister_gateway_streams', help: 'Calls under way' }, () =>
      directory.all().reduce((sum, { mux }) => sum + mux.streamCount, 0),
    );
    metrics.gaugeOf(
      { name: 'cloister_gateway_blob_bytes', help: 'Bytes of blobs on disk' },
      () => this.#blobs.totalBytes,
    );
    metrics.gaugeOf(
      { name: 'cloister_gateway_paid_blob_bytes', help: 'Of these, bytes that apps pay for' },
      () => this.#blobs.paidBytes,
    );
    this.#server = createServer(
      {
        headersTimeout: limits.headersMs,
        requestTimeout: limits.requestMs,
        connectionsCheckingInterval: Math.min(5_000, limits.headersMs),
        keepAliveTimeout: 65_000,
        maxHeaderSize: 16_384,
        requireHostHeader: false,
        noDelay: true,
      },
      (request, response) => void this.#answer(request, response),
    );
    this.#server.maxConnections = limits.connections;
    this.#server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
  }

  /** Where it listens, after `start`. */
  get url(): string {
    return this.#url;
  }

  get publicUrl(): string {
    return this.#init.publicUrl ?? this.#url;
  }

  /** Opens the blob store and listens. Throws GatewayError: GATEWAY_CANNOT_LISTEN. */
  async start(): Promise<void> {
    const { host, port } = this.#init;
    await this.#blobs.open();
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (cause) => reject(new GatewayError(host, port, cause)));
      this.#server.listen(port, host, 1024, resolve);
    });
    this.#paid.start();
    const address = this.#server.address() as AddressInfo;
    this.#url = `http://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`;
  }

  /** Takes nothing new, tells the workers, gives calls under way some seconds, and closes everything. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#paid.stop();
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    const deadline = performance.now() + stopWithinMs;
    while (this.#directory.all().some(({ mux }) => mux.streamCount > 0) && performance.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 20));
    this.#door.stop();
    this.#server.closeAllConnections();
    await closed;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let name: Route['name'] | 'none' = 'none';
    // Broken connections show as 'close'; without a listener they would end the process.
    response.on('error', ignore);
    request.on('error', ignore);
    try {
      const route = routeOf(request);
      name = route.name;
      await this.#serve(route, { request, response, client: clientOf(request, this.#init.trustedProxies ?? 0) });
    } catch (thrown) {
      const known = thrown instanceof ProblemError;
      const error = known ? thrown : new ProblemError('internal', 'The gateway failed to answer', { cause: thrown });
      if (error.code === 'internal') this.#components.log.error('gateway: request failed', { error: thrown });
      else this.#components.log.debug('gateway: request refused', { error });
      sendProblem(response, error);
    } finally {
      // What is left of a request that was answered early must be read, or the connection stands still.
      if (!request.complete) request.resume();
      this.#count(name, response.statusCode);
    }
  }

  async #serve(route: Route, exchange: Exchange): Promise<void> {
    if (route.name === 'call') {
      if (this.#stopping) throw new ProblemError('stopping', 'This gateway stops and takes no new calls');
      return this.#calls.handle(exchange, route.workerId);
    }
    const waitMs = this.#reads.take(exchange.client);
    if (waitMs > 0) throw rateLimited('requests', waitMs);
    switch (route.name) {
      case 'directory':
        return sendDirectory(exchange, this.#directory, route.query);
      case 'announcement':
        return sendAnnouncement(exchange, this.#directory, route.workerId);
      case 'blob':
        return exchange.request.method === 'PUT'
          ? this.#blobRoutes.put(exchange, route.id)
          : this.#blobRoutes.get(exchange, route.id);
      case 'claims':
        return this.#storageRoutes.claim(exchange);
      case 'storage':
        return this.#storageRoutes.status(exchange, route.app);
      case 'statement': {
        const { statement, absence } = await this.#statements.for(route.signer);
        return sendJson(exchange, 200, JSON.stringify({ statement: roundStatementToJson(statement), absence }));
      }
      case 'about':
        return sendJson(
          exchange,
          200,
          JSON.stringify({
            format: 'cloister-gateway-1',
            payTo: this.#init.payTo ?? null,
            storage: {
              freeBytes: this.#init.limits.freeBlobBytes,
              sellableBytes: this.#init.payTo === undefined ? 0 : this.#blobs.sellableBytes,
              graceEpochs,
            },
          }),
        );
      case 'health':
        return sendJson(
          exchange,
          this.#stopping ? 503 : 200,
          JSON.stringify({ ok: !this.#stopping, workers: this.#directory.size }),
        );
      case 'metrics':
        begin(exchange, 200, { 'content-type': metricsContentType, 'cache-control': 'no-store' });
        exchange.response.end(this.#components.metrics.text());
        return;
      case 'preflight':
        sendPreflight(exchange);
    }
  }

  #count(route: string, status: number): void {
    const key = `${route} ${status}`;
    let counter = this.#counters.get(key);
    if (counter === undefined) {
      counter = this.#requests.with({ route, status: String(status) });
      this.#counters.set(key, counter);
    }
    counter.add();
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy());
    const client = clientOf(request, this.#init.trustedProxies ?? 0);
    const workerId = sessionWorkerOf(request.url ?? '');
    try {
      if (this.#stopping) throw new ProblemError('stopping', 'This gateway stops and takes no new calls');
      if (workerId !== undefined) {
        this.#sessions.accept(request, socket, head, client, workerId);
        return;
      }
      const waitMs = this.#reads.take(client);
      if (waitMs > 0) throw rateLimited('requests', waitMs);
      if (request.url !== '/v1/dial') throw new ProblemError('not-found', 'No WebSocket is served there');
      this.#door.accept(request, socket, head);
    } catch (error) {
      const status = error instanceof ProblemError ? error.status : 500;
      const line = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Refused'}`;
      socket.end(`${line}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`, () => socket.destroy());
    }
  }
}

function ignore(): void {}

export class GatewayError extends CloisterError<'GATEWAY_CANNOT_LISTEN'> {
  override readonly name = 'GatewayError';
  constructor(host: string, port: number, cause: Error) {
    super({
      code: 'GATEWAY_CANNOT_LISTEN',
      message: `Can't listen on ${host} port "${port}": ${cause.message}`,
      meta: { host, port },
      hint: 'Give another port, or stop what uses it',
      cause,
    });
  }
}
