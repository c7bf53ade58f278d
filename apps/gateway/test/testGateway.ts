import { mkdtempSync, rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type PaidStorage, paidStorage } from '@cloister/chain';
import {
  type CallHead,
  type ControlMessage,
  encodeCallHead,
  encodeControl,
  type FrameMux,
  type FrameStream,
  muxOverWebSocket,
  parseControl,
} from '@cloister/channel/frame';
import { type Address, type Bytes32, gatewayHelloDigest, zeroAddress } from '@cloister/core';
import { addressOf, fromHex, generateSecp256k1, type SecretBytes, signDigest, toHex, utf8 } from '@cloister/crypto';
import { createLogger, createMetrics } from '@cloister/service';
import { afterEach } from 'vitest';
import { WebSocket } from 'ws';
import { Gateway } from '../src/gateway.ts';
import { defaultGatewayLimits, type GatewayLimits } from '../src/limits.ts';

export const domain = { chainId: 31337, registry: '0x5fbdb2315678afecb367f032d93f642f64180aa3' } as const;

export const requestType = 'message/ohttp-req';
export const answerType = 'message/ohttp-chunked-res';

export type TestWorker = {
  readonly workerId: Bytes32;
  readonly mux: FrameMux;
  readonly webSocket: WebSocket;
  readonly streams: FrameStream[];
  /** Control messages after the welcome, or the refusal. */
  readonly heard: ControlMessage[];
  readonly closed: Promise<unknown>;
};

export type WorkerOptions = {
  readonly workerId?: Bytes32;
  readonly secret?: SecretBytes;
  readonly serve?: (stream: FrameStream) => Promise<void>;
  /** Changes the hello that is sent. */
  readonly hello?: (
    challenge: Extract<ControlMessage, { type: 'challenge' }>,
    honest: ControlMessage,
  ) => ControlMessage | undefined;
};

/** A gateway with what it needs, its own registry, and workers that dial it over real WebSockets. */
export class TestGateway {
  readonly registry = new Map<Bytes32, Address>();
  readonly logLines: string[] = [];
  readonly folder: string;
  readonly gateway: Gateway;
  resolveSigner: (workerId: Bytes32, signal: AbortSignal) => Promise<Address | undefined> = async (workerId) =>
    this.registry.get(workerId);
  /** Of apps, by the chain. */
  readonly owners = new Map<Bytes32, Address>();
  /** What the chain says that it is paid for. */
  paid: () => PaidStorage | Promise<PaidStorage> = () => paidStorage([], 0);
  /** URLs of gatekeepers. */
  gatekeepers: readonly string[] = [];
  readonly #sockets: WebSocket[] = [];

  constructor(limits: Partial<GatewayLimits> = {}, folder = mkdtempSync(join(tmpdir(), 'cloister-gateway-'))) {
    this.folder = folder;
    this.gateway = new Gateway(
      {
        gatekeepers: async () => this.gatekeepers,
        resolveSigner: (workerId, signal) => this.resolveSigner(workerId, signal),
        ownerOf: async (app) => this.owners.get(app) ?? zeroAddress,
        isActiveSigner: async (signer) => [...this.registry.values()].includes(signer),
        paidStorage: async () => this.paid(),
        domain,
        log: createLogger({ name: 'gateway', level: 'info', write: (line) => this.logLines.push(line) }),
        metrics: createMetrics(),
      },
      {
        host: '127.0.0.1',
        port: 0,
        dataDir: folder,
        limits: {
          ...defaultGatewayLimits,
          callsPerSecondPerClient: 100_000,
          callBurstPerClient: 100_000,
          readBurstPerClient: 100_000,
          ...limits,
        },
      },
    );
  }

  get url(): string {
    return this.gateway.url;
  }

  async start(): Promise<this> {
    await this.gateway.start();
    return this;
  }

  async stop(options: { readonly keepFolder?: boolean } = {}): Promise<void> {
    for (const socket of this.#sockets.splice(0)) socket.terminate();
    await this.gateway.stop();
    if (options.keepFolder !== true) rmSync(this.folder, { recursive: true, force: true });
  }

  /** Dials and proves itself; resolves at the welcome, rejects with the refusal. */
  async dial(options: WorkerOptions = {}): Promise<TestWorker> {
    const secret = options.secret ?? generateSecp256k1();
    const workerId = options.workerId ?? toHex(crypto.getRandomValues(new Uint8Array(32)));
    if (options.secret === undefined) this.registry.set(workerId, addressOf(secret));
    const webSocket = new WebSocket(`${this.url.replace('http', 'ws')}/v1/dial`, { perMessageDeflate: false });
    this.#sockets.push(webSocket);
    let socket: Socket | undefined;
    webSocket.on('upgrade', (response) => {
      socket = response.socket;
    });
    const streams: FrameStream[] = [];
    const heard: ControlMessage[] = [];
    const closed = new Promise((resolve) => webSocket.on('close', resolve));
    const mux = await new Promise<FrameMux>((resolve, reject) => {
      // At once: the challenge may come with the same packet.
      webSocket.on('open', () => begin(resolve, reject));
      webSocket.on('error', reject);
    });
    function begin(resolve: (mux: FrameMux) => void, reject: (error: Error) => void): void {
      if (socket === undefined) throw new Error('no socket');
      const made: FrameMux = muxOverWebSocket(webSocket, socket, {
        role: 'worker',
        onControl(bytes) {
          const message = parseControl(bytes);
          if (message.type === 'welcome') resolve(made);
          else if (message.type === 'challenge') {
            const digest = gatewayHelloDigest(domain, { workerId, gateway: message.gateway, nonce: message.nonce });
            const honest = { type: 'hello', workerId, signature: toHex(signDigest(secret, fromHex(digest))) } as const;
            const hello = options.hello === undefined ? honest : options.hello(message, honest);
            if (hello !== undefined) made.sendControl(encodeControl(hello));
          } else {
            heard.push(message);
            if (message.type === 'refused') reject(Object.assign(new Error(message.code), { code: message.code }));
          }
        },
        onStream(stream) {
          streams.push(stream);
          options.serve?.(stream).catch(() => {});
        },
        onClose: () => reject(new Error('closed')),
      });
    }
    return { workerId, mux, webSocket, streams, heard, closed };
  }

  call(workerId: Bytes32, body: Uint8Array | ReadableStream<Uint8Array>, init: RequestInit = {}): Promise<Response> {
    return fetch(`${this.url}/v1/workers/${workerId}/call`, {
      method: 'POST',
      headers: { 'content-type': requestType },
      body: body as BodyInit,
      ...(body instanceof ReadableStream ? { duplex: 'half' } : {}),
      ...init,
    } as RequestInit);
  }
}

/** Starts gateways for the tests of a file; each is stopped, and its folder removed, once its test is over. */
export function gatewaysOfTests(): (limits?: Partial<GatewayLimits>, folder?: string) => Promise<TestGateway> {
  const open: TestGateway[] = [];
  afterEach(async () => {
    for (const one of open.splice(0)) await one.stop();
  });
  return async (limits = {}, folder = undefined) => {
    const made = await new TestGateway(limits, folder).start();
    open.push(made);
    return made;
  };
}

export function sendHead(stream: FrameStream, head: Partial<CallHead> = {}): void {
  stream.sendHead(encodeCallHead({ status: 200, contentType: answerType, ...head }));
}

/** Answers with what was asked. */
export async function echo(stream: FrameStream): Promise<void> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(Uint8Array.from(chunk));
  sendHead(stream);
  await stream.end(Buffer.concat(chunks));
}

export async function problemOf(
  response: Response,
): Promise<{ status: number; code: string; hint: string; detail: string }> {
  if (response.headers.get('content-type') !== 'application/problem+json')
    throw new Error(`Expected a problem, got ${response.status} ${await response.text()}`);
  return { ...(await response.json()), status: response.status };
}

export function announcementOf(workerId: Bytes32, filler = ''): string {
  return `{ "workerId":"${workerId}",  "evidence":{"filler":"${filler}"} }`;
}

export function announce(worker: TestWorker, announcement: string): void {
  worker.mux.sendControl(encodeControl({ type: 'announce', announcement }));
}

export function bytesOf(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at++) bytes[at] = (at * 131 + (at >> 8)) & 0xff;
  return bytes;
}

export const small = utf8('a sealed request, as far as the gateway knows');

export function streamOf(chunks: readonly Uint8Array[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });
}

/** Waits until the condition holds; the test's own time limit ends it otherwise. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 5));
}
