import { createServer, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import {
  type ControlMessage,
  encodeCallHead,
  encodeCallOpen,
  encodeControl,
  encodeFrame,
  type FrameMux,
  type FrameStream,
  muxOverWebSocket,
  parseControl,
  verifyHello,
} from '@cloister/channel/frame';
import { addressOf, generateSecp256k1, signDigest, utf8 } from '@cloister/crypto';
import { createLogger } from '@cloister/service';
import { afterEach, describe, expect, test } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { WorkerDialler, type WorkerDiallerComponents, type WorkerDiallerInit } from '../src/gatewayDialler.ts';

const registry = '0x5fbdb2315678afecb367f032d93f642f64180aa3';
const domain = { chainId: 31337, registry } as const;
const workerId = `0x${'01'.repeat(32)}` as const;
const nonce = `0x${'ab'.repeat(32)}` as const;
const secret = generateSecp256k1();

type Dialled = { readonly mux: FrameMux; readonly webSocket: WebSocket; readonly heard: ControlMessage[] };

/** A gateway of few words: it challenges, welcomes whoever signs for it, and shows what it hears. */
class FakeGateway {
  readonly dialled: Dialled[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** What to answer to a hello. */
  answer: ControlMessage = { type: 'welcome' };
  first: (url: string) => ControlMessage | Uint8Array = (url) => ({ type: 'challenge', nonce, gateway: url });

  constructor() {
    const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });
    this.#server = createServer();
    this.#server.on('connection', (socket) => this.#sockets.add(socket));
    this.#server.on('upgrade', (request, socket, head) =>
      sockets.handleUpgrade(request, socket, head, (webSocket) => this.#accept(webSocket, request.socket)),
    );
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async start(port = 0): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(port, '127.0.0.1', resolve));
    return this;
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  /** The `index`-th connection, as soon as it has been welcomed. */
  async welcomed(index = 0): Promise<Dialled> {
    await until(() => this.dialled[index]?.heard.some(({ type }) => type === 'hello') === true);
    return this.dialled[index] ?? expect.fail();
  }

  #accept(webSocket: WebSocket, socket: Socket): void {
    const heard: ControlMessage[] = [];
    const mux = muxOverWebSocket(webSocket, socket, {
      role: 'gateway',
      onControl: (bytes) => {
        const message = parseControl(bytes);
        heard.push(message);
        if (message.type === 'hello') mux.sendControl(encodeControl(this.answer));
      },
    });
    this.dialled.push({ mux, webSocket, heard });
    const first = this.first(this.url);
    if (first instanceof Uint8Array) webSocket.send(first);
    else mux.sendControl(encodeControl(first));
  }
}

const running: { stop(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of running.splice(0).reverse()) await one.stop();
});

async function fakeGateway(): Promise<FakeGateway> {
  const gateway = await new FakeGateway().start();
  running.push(gateway);
  return gateway;
}

function dialler(gateways: readonly string[], options: Partial<WorkerDiallerComponents> & WorkerDiallerInit = {}) {
  const log: string[] = [];
  const made = new WorkerDialler(
    {
      network: {
        gateways,
        chainId: domain.chainId,
        contracts: {
          workerRegistry: registry,
          timelock: registry,
          phaToken: registry,
          imageRegistry: registry,
          appRegistry: registry,
          gatekeeperCommittee: registry,
          epochRecords: registry,
          payments: registry,
          stakePools: registry,
          workerBonds: registry,
          slashing: registry,
          emission: registry,
          epochRewards: registry,
          storageRent: registry,
          governor: registry,
        },
      },
      workerId,
      sign: (digest) => signDigest(secret, digest),
      serve: options.serve ?? echo,
      log: createLogger({ name: 'worker', level: 'debug', write: (line) => log.push(line) }),
    },
    { baseMs: 10, maxMs: 20, ...options },
  );
  running.push(made);
  return { dialler: made, log };
}

async function echo(stream: FrameStream): Promise<void> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(Uint8Array.from(chunk));
  stream.sendHead(encodeCallHead({ status: 200, contentType: 'message/ohttp-res' }));
  await stream.end(Buffer.concat(chunks));
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

async function readAll(stream: FrameStream): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(Uint8Array.from(chunk));
  return Buffer.concat(chunks).toString();
}

const callOpen = encodeCallOpen({ method: 'call', contentLength: null });

describe('WorkerDialler', () => {
  test('proves itself to every gateway, announces itself, and serves', async () => {
    const gateways = [await fakeGateway(), await fakeGateway()];
    const { dialler: worker } = dialler(gateways.map(({ url }) => `${url}/`));
    worker.announce('{"first":1}');
    await worker.start();
    await until(() => worker.gateways.length === 2);
    expect([...worker.gateways].sort()).toEqual(gateways.map(({ url }) => url).sort());
    worker.announce('{"second":2}');
    for (const gateway of gateways) {
      const { mux, heard } = await gateway.welcomed();
      await until(() => heard.length === 3);
      const [hello] = heard;
      if (hello?.type !== 'hello') throw new Error('no hello');
      expect(hello.workerId).toBe(workerId);
      expect(verifyHello(domain, { workerId, gateway: gateway.url, nonce }, hello.signature, addressOf(secret))).toBe(
        true,
      );
      expect(heard.slice(1)).toEqual([
        { type: 'announce', announcement: '{"first":1}' },
        { type: 'announce', announcement: '{"second":2}' },
      ]);
      const stream = mux.openStream(callOpen);
      await stream.end(utf8('sealed'));
      expect(await readAll(stream)).toBe('sealed');
    }
  });

  test('sends unmasked frames', async () => {
    const gateway = await fakeGateway();
    const { dialler: worker } = dialler([gateway.url]);
    await worker.start();
    const { mux, webSocket } = await gateway.welcomed();
    const raw: Buffer[] = [];
    (webSocket as unknown as { _socket: Socket })._socket.prependListener('data', (chunk: Buffer) => raw.push(chunk));
    const stream = mux.openStream(callOpen);
    await stream.end(utf8('visible on the wire'));
    await readAll(stream);
    expect(Buffer.concat(raw).includes('visible on the wire')).toBe(true);
  });

  test('comes back when a gateway does, and announces itself again', async () => {
    const gateway = await new FakeGateway().start();
    const { url } = gateway;
    const { dialler: worker } = dialler([url]);
    worker.announce('{}');
    await worker.start();
    await gateway.welcomed();
    await gateway.stop();
    await until(() => worker.gateways.length === 0);
    const again = await new FakeGateway().start(Number(new URL(url).port));
    running.push(again);
    const { heard } = await again.welcomed();
    await until(() => heard.length === 2);
    expect(heard[1]).toEqual({ type: 'announce', announcement: '{}' });
  });

  test('starts even if no gateway answers, and goes on trying', async () => {
    const gateway = await new FakeGateway().start();
    const { url } = gateway;
    await gateway.stop();
    const { dialler: worker, log } = dialler([url]);
    await worker.start();
    expect(worker.gateways).toEqual([]);
    expect(log.join('')).toContain('DIAL_FAILED');
    running.push(await gateway.start(Number(new URL(url).port)));
    await until(() => worker.gateways.length === 1);
  });

  test('signs no hello for another gateway', async () => {
    const gateway = await fakeGateway();
    gateway.first = () => ({ type: 'challenge', nonce, gateway: 'https://other.example' });
    const { dialler: worker, log } = dialler([gateway.url]);
    await worker.start();
    await until(() => gateway.dialled.length >= 2);
    expect(gateway.dialled.flatMap(({ heard }) => heard)).toEqual([]);
    expect(log.join('')).toContain('DIAL_OTHER_GATEWAY');
  });

  test.each<[string, ControlMessage | Uint8Array]>([
    ['DIAL_PROTOCOL', { type: 'welcome' }],
    ['DIAL_PROTOCOL', { type: 'announce', announcement: '{}' }],
    ['HANDLER_FAILED', encodeFrame('control', 0, utf8('{"type":"whatever"}'))],
    ['STREAM_UNKNOWN', encodeFrame('data', 1, utf8('x'))],
    ['FRAME_TOO_SHORT', new Uint8Array([1])],
  ])('leaves a gateway that does not keep to the rules (%s), and dials again', async (code, first) => {
    const gateway = await fakeGateway();
    gateway.first = () => first;
    const { dialler: worker, log } = dialler([gateway.url]);
    await worker.start();
    await until(() => gateway.dialled.length >= 2);
    expect(worker.gateways).toEqual([]);
    expect(log.join('')).toContain(code);
  });

  test('tells why it was refused, and tries again', async () => {
    const gateway = await fakeGateway();
    gateway.answer = { type: 'refused', code: 'unknown-worker', detail: 'Not registered yet' };
    const { dialler: worker, log } = dialler([gateway.url]);
    await worker.start();
    expect(log.map((line) => JSON.parse(line))).toContainEqual(
      expect.objectContaining({
        level: 'warn',
        error: expect.objectContaining({
          code: 'DIAL_REFUSED',
          meta: expect.objectContaining({ reason: 'unknown-worker' }),
        }),
      }),
    );
    gateway.answer = { type: 'welcome' };
    await until(() => worker.gateways.length === 1);
  });

  test('gives up waiting for a welcome', async () => {
    const gateway = await fakeGateway();
    gateway.first = () => encodeFrame('ping', 0, new Uint8Array(8));
    const { dialler: worker, log } = dialler([gateway.url], { handshakeMs: 50 });
    await worker.start();
    expect(log.join('')).toContain('DIAL_NO_WELCOME');
  });

  test('refuses streams that it does not know and calls beyond its bound', async () => {
    const gateway = await fakeGateway();
    const { dialler: worker } = dialler([gateway.url], {
      maxCalls: 1,
      serve: (stream) => readAll(stream).then(() => {}),
    });
    await worker.start();
    const { mux } = await gateway.welcomed();
    await expect(mux.openStream(utf8('{"method":"shell"}')).head()).rejects.toMatchObject({ resetCode: 'refused' });
    mux.openStream(callOpen);
    await expect(mux.openStream(callOpen).head()).rejects.toMatchObject({ resetCode: 'unavailable' });
  });

  test('a call that throws, or ends without an answer, is reset; one that answers early keeps its answer', async () => {
    const gateway = await fakeGateway();
    const serves: ((stream: FrameStream) => Promise<void>)[] = [
      async () => Promise.reject(new Error('broken')),
      async () => {},
      async (stream) => {
        stream.sendHead(encodeCallHead({ status: 413, contentType: 'application/problem+json' }));
        await stream.end(utf8('too large'));
      },
    ];
    const { dialler: worker, log } = dialler([gateway.url], { serve: (stream) => (serves.shift() ?? echo)(stream) });
    await worker.start();
    const { mux } = await gateway.welcomed();
    for (let round = 0; round < 2; round++)
      await expect(mux.openStream(callOpen).head()).rejects.toMatchObject({ resetCode: 'internal' });
    const stream = mux.openStream(callOpen);
    const uploading = stream.write(new Uint8Array(1_000_000));
    expect(await readAll(stream)).toBe('too large');
    await expect(uploading).rejects.toMatchObject({ code: 'STREAM_RESET' });
    await until(() => mux.streamCount === 0);
    expect(log.join('')).toContain('broken');
    const next = mux.openStream(callOpen);
    await next.end(utf8('still there'));
    expect(await readAll(next)).toBe('still there');
  });

  test('stops when told, or when its signal aborts', async () => {
    const gateway = await fakeGateway();
    const { dialler: worker } = dialler([gateway.url]);
    const abort = new AbortController();
    await worker.start(abort.signal);
    const { mux } = await gateway.welcomed();
    const stream = mux.openStream(callOpen);
    abort.abort();
    await expect(stream.head()).rejects.toMatchObject({ code: 'STREAM_CONNECTION_LOST' });
    await worker.stop();
    expect([worker.gateways, gateway.dialled.length]).toEqual([[], 1]);
  });
});
