import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { SandboxError } from '../sandboxError.ts';
import { type Dialler, networkDialler } from './dialler.ts';
import { type ForwardLimits, forward } from './forward.ts';
import { type HostRule, isAllowed, placeOf } from './hostRule.ts';
import { isOwnAddress } from './ownAddress.ts';
import { isPublicAddress } from './publicAddress.ts';
import { dnsResolver, type Resolver } from './resolver.ts';
import { tunnel } from './tunnel.ts';

export type GateLimits = ForwardLimits & {
  /** Outbound requests in progress at once. */
  readonly connections: number;
  /** Time of one outbound request, name resolution and answer included. */
  readonly timeMs: number;
};

export type GateOptions = {
  readonly resolver?: Resolver;
  readonly dialler?: Dialler;
  /** Whether an address is one of this machine. */
  readonly isOwn?: (address: string) => boolean;
  readonly limits?: Partial<GateLimits>;
  /** Whether CONNECT opens a tunnel to an https host that may be reached: for programs that speak TLS themselves. Default false. */
  readonly tunnels?: boolean;
};

export const defaultGateLimits: GateLimits = {
  connections: 64,
  timeMs: 30_000,
  requestBytes: 16 * 1024 * 1024,
  responseBytes: 32 * 1024 * 1024,
};

/** Marks an answer of the gate itself, which no origin can send: the gate removes these names from what it forwards. */
export const refusedHeader = 'cloister-refused';
export const failedHeader = 'cloister-failed';

/**
 * The only way out for one tenant: a forward proxy on a socket of its own, in a process that the tenant can't touch.
 * It refuses what the manifest doesn't name, resolves names itself, refuses addresses outside the public Internet, and
 * dials the very address that it has checked, so that a second answer of the name server changes nothing. It speaks TLS
 * to the origin itself and follows no redirects: where the tenant follows one, that is a new request to the gate.
 */
export class EgressGate {
  readonly #resolver: Resolver;
  readonly #dialler: Dialler;
  readonly #isOwn: (address: string) => boolean;
  readonly #limits: GateLimits;
  readonly #server: Server;
  readonly #handedOver = new Set<Socket>();
  #rules: readonly HostRule[] = [];
  #passedBytes = 0;
  #onRefused: (host: string) => void = () => {};

  constructor({
    resolver = dnsResolver,
    dialler = networkDialler,
    isOwn = isOwnAddress,
    limits = {},
    tunnels = false,
  }: GateOptions = {}) {
    this.#resolver = resolver;
    this.#dialler = dialler;
    this.#isOwn = isOwn;
    this.#limits = { ...defaultGateLimits, ...limits };
    this.#server = createServer({ requireHostHeader: false, maxHeaderSize: 32 * 1024, headersTimeout: 10_000 });
    this.#server.requestTimeout = this.#limits.timeMs;
    this.#server.maxConnections = this.#limits.connections;
    this.#server.on('request', (request, response) => void this.#handle(request, response));
    // Upgrades, and tunnels where the runtime can do without, would take bytes past every check.
    this.#server.on('connect', (request: IncomingMessage, socket: Socket, head: Buffer) => {
      this.#takeOver(socket);
      if (tunnels) void this.#tunnel(request, socket, head);
      else this.#refuseTunnel(request, socket);
    });
    this.#server.on('upgrade', (request: IncomingMessage, socket: Socket) => {
      this.#takeOver(socket);
      this.#refuseTunnel(request, socket);
    });
    this.#server.on('clientError', (_error, socket) => socket.destroy());
  }

  readonly #passed = (bytes: number): void => {
    this.#passedBytes += bytes;
  };

  /** Bytes of requests and answers that were let through so far, heads included. */
  get passedBytes(): number {
    return this.#passedBytes;
  }

  /** Opens the gate for these hosts. Until then it refuses all. */
  allow(rules: readonly HostRule[], onRefused: (host: string) => void): void {
    this.#rules = rules;
    this.#onRefused = onRefused;
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

  /** Ends what is under way. */
  async close(): Promise<void> {
    this.#server.closeAllConnections();
    for (const socket of this.#handedOver) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const given = new AbortController();
    response.once('close', () => given.abort());
    const signal = AbortSignal.any([given.signal, AbortSignal.timeout(this.#limits.timeMs)]);
    try {
      const url = new URL(request.url ?? '');
      const place = placeOf(url);
      if (place === undefined) return this.#refuse(request, response, url.host, 'is not plain http or https');
      const name = nameOf(place);
      if (!isAllowed(place, this.#rules)) return this.#refuse(request, response, name, 'is not named in the manifest');
      const hostname = place.host.replace(/^\[|\]$/g, '');
      const addresses = await this.#addressesOf(hostname, signal);
      // One bad address among good ones is a name that changes its mind: refused as a whole.
      if (addresses.length === 0 || !addresses.every(isPublicAddress))
        return this.#refuse(request, response, name, 'leads to an address outside the public Internet');
      if (addresses.some(this.#isOwn)) return this.#refuse(request, response, name, 'leads to the worker itself');
      const socket = await this.#dial(hostname, addresses, place, signal);
      await forward({ request, response, socket, url, limits: this.#limits, passed: this.#passed, signal });
    } catch {
      // What exactly went wrong on the way may say something of the host's network.
      fail(response, 'could not be reached');
    }
  }

  /** A connection that the server hands over has nobody there any more who hears its errors, which would end this process, or ends it. */
  #takeOver(socket: Socket): void {
    this.#handedOver.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => this.#handedOver.delete(socket));
  }

  /** The place is checked as that of any request; what is said inside is the tenant's and the host's alone. */
  async #tunnel(request: IncomingMessage, socket: Socket, head: Buffer): Promise<void> {
    const given = new AbortController();
    socket.once('close', () => given.abort());
    const signal = AbortSignal.any([given.signal, AbortSignal.timeout(this.#limits.timeMs)]);
    try {
      const place = placeOf(new URL(`https://${request.url ?? ''}`));
      if (place === undefined) return this.#refuseTunnel(request, socket);
      if (!isAllowed(place, this.#rules)) return this.#refuseTunnel(request, socket, nameOf(place));
      const hostname = place.host.replace(/^\[|\]$/g, '');
      const addresses = await this.#addressesOf(hostname, signal);
      if (addresses.length === 0 || !addresses.every(isPublicAddress) || addresses.some(this.#isOwn))
        return this.#refuseTunnel(request, socket, nameOf(place));
      const origin = await this.#dial(hostname, addresses, { ...place, protocol: 'http:' }, signal);
      await tunnel({ socket, head, origin, serverName: hostname, limits: this.#limits, passed: this.#passed, signal });
    } catch (error) {
      if (error instanceof SandboxError && error.code === 'OUTBOUND_REFUSED')
        this.#onRefused((request.url ?? '').slice(0, 300));
      socket.destroy();
    }
  }

  async #addressesOf(hostname: string, signal: AbortSignal): Promise<readonly string[]> {
    if (/^[0-9.]+$/.test(hostname) || hostname.includes(':')) return [hostname];
    return this.#resolver(hostname, { signal });
  }

  async #dial(hostname: string, addresses: readonly string[], place: HostRule, signal: AbortSignal): Promise<Socket> {
    let failure: unknown;
    for (const address of addresses.slice(0, 4)) {
      try {
        const target = { hostname, address, port: place.port, tls: place.protocol === 'https:' };
        return await this.#dialler(target, { signal });
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }

  #refuse(request: IncomingMessage, response: ServerResponse, host: string, reason: string): void {
    this.#onRefused(host.slice(0, 300));
    // Bytes that the tenant still sends have nowhere to go.
    request.resume();
    response
      .writeHead(403, { [refusedHeader]: `The host "${printable(host)}" ${reason}`, 'content-length': '0' })
      .end();
  }

  #refuseTunnel(request: IncomingMessage, socket: Socket, host = request.url ?? ''): void {
    this.#onRefused(host.slice(0, 300));
    socket.write('HTTP/1.1 403 Forbidden\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
    // Whoever asked need not close it, and would keep a place.
    socket.destroySoon();
  }
}

function fail(response: ServerResponse, reason: string): void {
  if (response.headersSent) response.destroy();
  else response.writeHead(502, { [failedHeader]: `The host ${reason}`, 'content-length': '0' }).end();
}

function nameOf(place: HostRule): string {
  const isDefault = place.port === (place.protocol === 'https:' ? 443 : 80);
  return `${place.protocol === 'http:' ? 'http://' : ''}${place.host}${isDefault ? '' : `:${place.port}`}`;
}

function printable(text: string): string {
  return text.replace(/[^\x21-\x7e]/g, '?').slice(0, 300);
}
