import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  type Bytes32,
  CloisterError,
  DeadlineError,
  describeError,
  epochIndexToJson,
  JsonError,
  maxBridgeStatementBytes,
  maxJudgedEvidenceBytes,
  maxKeyRequestBytes,
  maxStatePartitions,
  maxStateRequestBytes,
  parseBoundedJson,
  roundStatementToJson,
  SchemaError,
  type SignedChainHead,
  signedChainHeadToJson,
} from '@cloister/core';
import { clientOf, type Logger, type Metrics, metricsContentType } from '@cloister/service';
import type { BeaconKeeper } from './beacon/beaconKeeper.ts';
import type { BridgeService } from './bridge/bridgeService.ts';
import type { EpochKeeper } from './epochs/epochKeeper.ts';
import { maxExchangeBytes, parseExchange } from './handover/exchange.ts';
import type { HandoverKeeper } from './handover/handoverKeeper.ts';
import type { KeyService } from './keys/keyService.ts';
import type { ResultService } from './results/resultService.ts';
import type { RoundKeeper } from './rounds/roundKeeper.ts';
import type { PublicShares } from './shares/publicShares.ts';
import { maxStateRecordsRequestBytes } from './state/stateRecords.ts';
import type { StateRecovery } from './state/stateRecovery.ts';
import type { StateService } from './state/stateService.ts';

export type ServerComponents = {
  readonly handovers: HandoverKeeper;
  readonly beacon: BeaconKeeper;
  readonly rounds: RoundKeeper;
  readonly keys: KeyService;
  readonly states: Pick<StateService, 'fence' | 'write' | 'keep' | 'status'>;
  readonly stateRecovery: Pick<StateRecovery, 'page'>;
  readonly results: ResultService;
  readonly bridges: Pick<BridgeService, 'admit' | 'answer'>;
  readonly epochs: Pick<EpochKeeper, 'index' | 'vector' | 'leaves'>;
  /** The newest block that this member sees, for the others; undefined before it has seen one. */
  readonly head: () => SignedChainHead | undefined;
  readonly publicSharesOf: (generation: bigint) => PublicShares | undefined;
  /** What anybody may know of this member; undefined until it has registered. */
  readonly status: () => Record<string, unknown> | undefined;
  /** The evidence that it is registered by; undefined until it has registered. */
  readonly evidence: () => unknown;
  readonly metrics: Metrics;
  readonly log: Logger;
};

export type ServerInit = {
  readonly host: string;
  readonly port: number;
  /** For a request to come, and as long again for its answer. @default 10_000 */
  readonly requestTimeoutMs?: number;
  /** Requests that are answered at once; whoever comes beside them is sent to another member. @default 256 */
  readonly maxConcurrent?: number;
};

const openHeaders = {
  'access-control-allow-origin': '*',
  'x-content-type-options': 'nosniff',
  'cache-control': 'no-store',
};

/** A member's door: to other members, to hosts that ask for keys, to anybody who wants the beacon. Bodies are signed or public. */
export class GatekeeperServer {
  readonly #components: ServerComponents;
  readonly #init: Required<ServerInit>;
  readonly #server: Server;
  readonly #stopping = new AbortController();
  #running = 0;

  constructor(components: ServerComponents, init: ServerInit) {
    this.#components = components;
    this.#init = { requestTimeoutMs: 10_000, maxConcurrent: 256, ...init };
    const { requestTimeoutMs } = this.#init;
    const limits = {
      headersTimeout: requestTimeoutMs / 2,
      requestTimeout: requestTimeoutMs,
      // Node.js looks for the late ones only every 30 seconds otherwise.
      connectionsCheckingInterval: requestTimeoutMs / 10,
    };
    this.#server = createServer(limits, (request, response) => void this.#serve(request, response));
    this.#server.maxConnections = 1_024;
  }

  /** Begins to listen, and answers where. */
  async start(): Promise<string> {
    const { host, port } = this.#init;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, host, resolve);
    });
    const address = this.#server.address() as AddressInfo;
    return `http://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`;
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { maxConcurrent, requestTimeoutMs } = this.#init;
    if (this.#running >= maxConcurrent) return this.#fail(response, new ServerError('GATEKEEPER_BUSY'));
    this.#running += 1;
    try {
      const signal = AbortSignal.any([this.#stopping.signal, AbortSignal.timeout(requestTimeoutMs)]);
      await this.#route(request, response, signal);
    } catch (error) {
      this.#fail(response, error);
    } finally {
      this.#running -= 1;
    }
  }

  async #route(request: IncomingMessage, response: ServerResponse, signal: AbortSignal): Promise<void> {
    const { handovers, beacon, rounds, keys, results, bridges, states, stateRecovery } = this.#components;
    const { publicSharesOf, head, status, evidence, metrics } = this.#components;
    const { method, url = '' } = request;
    if (method === 'OPTIONS') {
      response.writeHead(204, { ...openHeaders, 'access-control-allow-headers': 'content-type' }).end();
      return;
    }
    if (method === 'POST' && url === '/v1/ceremony') {
      const exchange = parseExchange(await readJson(request, maxExchangeBytes));
      return send(response, 200, await handovers.receive(exchange));
    }
    if (method === 'POST' && url === '/v1/keys')
      return send(response, 200, await keys.answer(await readJson(request, maxKeyRequestBytes), signal));
    if (method === 'POST' && url === '/v1/attestations') {
      results.admit(clientOf(request, 0));
      return send(response, 200, await results.answer(await readJson(request, maxJudgedEvidenceBytes), signal));
    }
    if (method === 'POST' && url === '/v1/bridges') {
      bridges.admit(clientOf(request, 0));
      return send(response, 200, await bridges.answer(await readJson(request, maxBridgeStatementBytes), signal));
    }
    if (method === 'POST' && url === '/v1/state/fence')
      return send(response, 200, await states.fence(await readJson(request, maxStateRequestBytes), signal));
    if (method === 'POST' && url === '/v1/state/head')
      return send(response, 200, await states.write(await readJson(request, maxStateRequestBytes), signal));
    if (method === 'POST' && url === '/v1/state/certified')
      return send(response, 200, await states.keep(await readJson(request, maxStateRequestBytes)));
    if (method === 'POST' && url === '/v1/state/records')
      return send(response, 200, stateRecovery.page(await readJson(request, maxStateRecordsRequestBytes)));
    if (method !== 'GET')
      return send(response, 405, {
        code: 'METHOD_NOT_ALLOWED',
        message: 'Only GET, and POST of /v1/ceremony, /v1/keys, /v1/attestations, /v1/bridges and /v1/state/…',
      });
    const [, round, part] = /^\/v1\/beacon\/(0|[1-9][0-9]{0,17})(\/partial)?$/.exec(url) ?? [];
    if (round !== undefined && part !== undefined) {
      const { generation, index, signature } = beacon.partial(BigInt(round));
      return send(response, 200, { generation: generation.toString(), index, signature });
    }
    if (round !== undefined)
      return send(response, 200, { round, signature: await beacon.signature(BigInt(round), signal) });
    const [, stated, what] = /^\/v1\/rounds\/(0|[1-9][0-9]{0,17})(\/partial|\/evicted)?$/.exec(url) ?? [];
    if (stated !== undefined && what === '/partial') {
      const { generation, index, signature } = await rounds.partial(BigInt(stated), signal);
      return send(response, 200, { generation: generation.toString(), index, signature });
    }
    if (stated !== undefined) {
      const { statement, evicted } = await rounds.statement(BigInt(stated), signal);
      return send(response, 200, what === undefined ? roundStatementToJson(statement) : evicted);
    }
    if (url === '/v1/rounds/latest') return send(response, 200, roundStatementToJson(rounds.newest().statement));
    const [, generation] = /^\/v1\/generations\/([1-9][0-9]{0,17})\/public-shares$/.exec(url) ?? [];
    if (generation !== undefined) {
      const shares = publicSharesOf(BigInt(generation));
      if (shares !== undefined) return send(response, 200, shares);
    }
    const [, app, partition] = /^\/v1\/state\/(0x[0-9a-f]{64})\/(0|[1-9][0-9]{0,3})$/.exec(url) ?? [];
    if (app !== undefined && Number(partition) < maxStatePartitions) {
      const known = states.status({ app: app as Bytes32, partition: Number(partition) });
      if (known !== undefined) return send(response, 200, known);
    }
    if (url.startsWith('/v1/epochs/') && (await this.#sendEpoch(response, url.slice('/v1/epochs/'.length)))) return;
    if (url === '/v1/head') return send(response, 200, signedChainHeadToJson(started(head())));
    if (url === '/v1/gatekeeper') return send(response, 200, started(status()));
    if (url === '/v1/evidence') return send(response, 200, started(evidence()));
    if (url === '/metrics') {
      response.writeHead(200, { ...openHeaders, 'content-type': metricsContentType }).end(metrics.text());
      return;
    }
    send(response, 404, { code: 'NOT_FOUND', message: 'See /v1/gatekeeper' });
  }

  /** Answers false where there is nothing. */
  async #sendEpoch(response: ServerResponse, path: string): Promise<boolean> {
    const { epochs } = this.#components;
    const [, vectorId] = /^vectors\/(0x[0-9a-f]{64})$/.exec(path) ?? [];
    const bytes = vectorId === undefined ? undefined : await epochs.vector(vectorId as Bytes32);
    if (bytes !== undefined) {
      response.writeHead(200, { ...openHeaders, 'content-type': 'application/json' }).end(bytes);
      return true;
    }
    const [, digest] = /^leaves\/(0x[0-9a-f]{64})$/.exec(path) ?? [];
    const leaves = digest === undefined ? undefined : await epochs.leaves(digest as Bytes32);
    const [, epoch] = /^(0|[1-9][0-9]{0,17})$/.exec(path) ?? [];
    const index = epoch === undefined ? undefined : await epochs.index(BigInt(epoch));
    const found = leaves ?? (index && epochIndexToJson(index));
    if (found !== undefined) send(response, 200, found);
    return found !== undefined;
  }

  #fail(response: ServerResponse, error: unknown): void {
    if (response.headersSent || response.destroyed) return void response.destroy();
    const known = error instanceof CloisterError ? error : undefined;
    if (known === undefined) this.#components.log.error('server: failed', { error });
    const malformed = error instanceof SchemaError || error instanceof JsonError;
    // What took too long, or was cut off as this member stops, is no refusal.
    const mayPass = known?.retry === true || error instanceof DeadlineError;
    const status = known === undefined ? 500 : malformed ? 400 : mayPass ? 503 : 403;
    send(response, status, {
      code: known?.code ?? 'INTERNAL',
      message: describeError(known ?? new Error('The member failed')),
    });
  }
}

function send(response: ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body, (_, value: unknown) => (typeof value === 'bigint' ? value.toString() : value));
  response.writeHead(status, { ...openHeaders, 'content-type': 'application/json' }).end(text);
}

function started<T>(found: T | undefined): T {
  if (found === undefined) throw new ServerError('GATEKEEPER_STARTING');
  return found;
}

async function readJson(request: IncomingMessage, maxBytes: number): Promise<unknown> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > maxBytes) throw new JsonError('JSON_TOO_LARGE', `Expected at most ${maxBytes} bytes`, '$');
    parts.push(part);
  }
  return parseBoundedJson(new Uint8Array(Buffer.concat(parts)), maxBytes, 'body');
}

const reasons = {
  GATEKEEPER_BUSY: 'This member answers as many as it can; ask another one',
  GATEKEEPER_STARTING: 'This member has not registered yet',
} as const;

export class ServerError extends CloisterError<keyof typeof reasons> {
  override readonly name = 'ServerError';
  constructor(code: keyof typeof reasons) {
    super({ code, message: reasons[code], retry: true });
  }
}
