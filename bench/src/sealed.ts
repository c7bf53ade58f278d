import { Agent, createServer, type IncomingMessage, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { RequestSealer, sealRequest } from '@cloister/channel/client';
import { KeyRing } from '@cloister/channel/worker';
import { concatBytes, randomBytes, SecretBytes, toBase64Url, toHex } from '@cloister/crypto';
import { Aes256Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from '@hpke/core';
import { type BenchLine, benchLine, median } from './measure.ts';

// A call of 1 kB each way: request and response bodies of 1,024 bytes, 600 bytes of receipt in the last chunk.
// The peer does the same cryptography by @hpke/core and WebCrypto (setup, open, three exports, key derivation, three
// chunks of the same padded sizes), but neither parses headers nor hashes the request nor remembers it.
const now = 1_800_000_000;
const leaseEnd = now + 86_400;
const requestBody = randomBytes(1_024);
const responseBody = randomBytes(1_024);
const receipt = randomBytes(600);

/** The worker's processor time for one call, without the receipt: opening, and sealing head, body and end. */
export async function benchWorkerCpu(): Promise<BenchLine> {
  const [rounds, warmUps, calls] = [30, 20, 60];
  const ring = new KeyRing();
  const peer = await Peer.create();
  const { config } = await ring.rotate(now, leaseEnd);
  const times = { ours: [] as number[], peer: [] as number[] };
  for (let round = -warmUps; round < rounds; round++) {
    const ours = await Promise.all(Array.from({ length: calls }, () => sealRequest(callTo(config))));
    const theirs = await Promise.all(Array.from({ length: calls }, () => peer.seal()));
    const sides = [
      { kept: times.ours, run: async (i: number) => answerOurs(ring, ours[i]?.encapsulated ?? new Uint8Array()) },
      { kept: times.peer, run: async (i: number) => peer.answer(theirs[i]?.bytes ?? new Uint8Array()) },
    ];
    for (const { kept, run } of round % 2 === 0 ? sides : sides.reverse()) {
      const before = process.cpuUsage();
      for (let i = 0; i < calls; i++) await run(i);
      const { user, system } = process.cpuUsage(before);
      if (round >= 0) kept.push((user + system) / 1_000 / calls);
    }
  }
  return benchLine('sealed-call-worker-cpu-1k', times.ours, times.peer);
}

/** What sealing adds to a request over loopback HTTP, server in another thread: the median minus the plain one's. */
export async function benchAddedLatency(): Promise<BenchLine> {
  const [rounds, warmUps, calls] = [40, 10, 25];
  const worker = new Worker(new URL(import.meta.url));
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  try {
    const server = await new Promise<Ready>((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
    const peer = await Peer.create(server.peerPublicKey);
    const sealer = new RequestSealer();
    const send = (path: string, body: Uint8Array) => post(agent, server.port, path, body);
    const sides = {
      plain: async () => void (await send('/plain', requestBody)),
      ours: async () => {
        // As the SDK does it: the next call's key agreement is made while this one is under way.
        const sealed = await sealer.seal(callTo(server.keyConfig));
        const sending = send('/ours', sealed.encapsulated);
        sealer.prepare(server.keyConfig);
        const response = await sending;
        const source = (async function* () {
          yield response;
        })();
        for await (const event of sealed.openResponse().read(source, { signal: AbortSignal.timeout(5_000) }))
          if (event.type === 'body' && event.bytes.length !== 1_024) throw new Error('The response is wrong');
      },
      peer: async () => {
        const { bytes, open } = await peer.seal();
        await open(await send('/peer', bytes));
      },
    };
    const names = ['plain', 'ours', 'peer'] as const;
    const times = { plain: [] as number[], ours: [] as number[], peer: [] as number[] };
    for (let round = -warmUps; round < rounds; round++)
      for (const name of round % 2 === 0 ? names : [...names].reverse())
        for (let call = 0; call < calls; call++) {
          const started = performance.now();
          await sides[name]();
          if (round >= 0) times[name].push(performance.now() - started);
        }
    const plain = median(times.plain);
    return benchLine(
      'sealed-call-added-1k',
      times.ours.map((ms) => ms - plain),
      times.peer.map((ms) => ms - plain),
    );
  } finally {
    agent.destroy();
    await worker.terminate();
  }
}

function callTo(keyConfig: Uint8Array) {
  const zero = toHex(new Uint8Array(32));
  const call = {
    app: zero,
    callId: toBase64Url(randomBytes(16)),
    clientKey: new SecretBytes(randomBytes(32)),
    context: zero,
    maxFee: 0n,
    manifest: zero,
  };
  const headers = [['content-type', 'application/json']] as const;
  return { keyConfig, call, request: { method: 'POST', path: '/', headers, body: requestBody } };
}

async function answerOurs(ring: KeyRing, encapsulated: Uint8Array): Promise<Uint8Array> {
  const { response } = await ring.open(encapsulated, now);
  const head = await response.head(200, [['content-type', 'application/json']]);
  return concatBytes(head, await response.body(responseBody), await response.final(receipt));
}

/** The same by @hpke/core for HPKE and WebCrypto for the response. */
class Peer {
  static readonly #suite = new CipherSuite({
    kem: new DhkemX25519HkdfSha256(),
    kdf: new HkdfSha256(),
    aead: new Aes256Gcm(),
  });
  static readonly #info = new TextEncoder().encode('peer request').buffer;
  static readonly #labels = ['response', 'input', 'output'].map((label) => new TextEncoder().encode(label).buffer);
  static readonly #chunkSizes = [128, 1_152, 640];
  static readonly #request = randomBytes(2_048);
  readonly publicKey: ArrayBuffer;
  readonly #recipientKey: CryptoKey | undefined;

  private constructor(publicKey: ArrayBuffer, recipientKey: CryptoKey | undefined) {
    this.publicKey = publicKey;
    this.#recipientKey = recipientKey;
  }

  /** @param publicKey of the other side; none makes a pair */
  static async create(publicKey?: ArrayBuffer): Promise<Peer> {
    if (publicKey !== undefined) return new Peer(publicKey, undefined);
    const pair = await Peer.#suite.kem.generateKeyPair();
    return new Peer(await Peer.#suite.kem.serializePublicKey(pair.publicKey), pair.privateKey);
  }

  async seal(): Promise<{ readonly bytes: Uint8Array; open(response: Uint8Array): Promise<void> }> {
    const recipientPublicKey = await Peer.#suite.kem.deserializePublicKey(this.publicKey);
    const sender = await Peer.#suite.createSenderContext({ recipientPublicKey, info: Peer.#info });
    const sealed = await sender.seal(Peer.#request.buffer);
    const [secret] = await exportAll(sender, Peer.#labels);
    const enc = new Uint8Array(sender.enc);
    return {
      bytes: concatBytes(enc, new Uint8Array(sealed)),
      async open(response) {
        const { key, nonce } = await responseKey(secret, enc, response.subarray(0, 32));
        let at = 32;
        for (const [i, size] of Peer.#chunkSizes.entries()) {
          const chunk = new Uint8Array(response.subarray(at, at + size + 16));
          await crypto.subtle.decrypt({ name: 'AES-GCM', iv: chunkNonce(nonce, i) }, key, chunk);
          at += size + 16;
        }
      },
    };
  }

  async answer(bytes: Uint8Array): Promise<Uint8Array> {
    if (this.#recipientKey === undefined) throw new Error('This side has no key');
    const enc = new Uint8Array(bytes.subarray(0, 32));
    const context = await Peer.#suite.createRecipientContext({
      recipientKey: this.#recipientKey,
      enc: enc.buffer,
      info: Peer.#info,
    });
    await context.open(new Uint8Array(bytes.subarray(32)).buffer);
    const [secret] = await exportAll(context, Peer.#labels);
    const responseNonce = randomBytes(32);
    const { key, nonce } = await responseKey(secret, enc, responseNonce);
    const parts: Uint8Array[] = [responseNonce];
    for (const [i, size] of Peer.#chunkSizes.entries()) {
      const sealed = await crypto.subtle.encrypt(
        { name: 'AES-GCM', iv: chunkNonce(nonce, i) },
        key,
        new Uint8Array(size),
      );
      parts.push(new Uint8Array(sealed));
    }
    return concatBytes(...parts);
  }
}

async function exportAll(
  context: { export(label: ArrayBuffer, length: number): Promise<ArrayBuffer> },
  labels: readonly ArrayBuffer[],
): Promise<readonly [ArrayBuffer, ...ArrayBuffer[]]> {
  const [first = new ArrayBuffer(32), ...rest] = await Promise.all(labels.map((label) => context.export(label, 32)));
  return [first, ...rest];
}

async function responseKey(secret: ArrayBuffer, enc: Uint8Array, responseNonce: Uint8Array) {
  const prk = await crypto.subtle.importKey('raw', secret, 'HKDF', false, ['deriveBits']);
  const derive = (info: string, bits: number) =>
    crypto.subtle.deriveBits(
      {
        name: 'HKDF',
        hash: 'SHA-256',
        salt: new Uint8Array(concatBytes(enc, responseNonce)),
        info: new TextEncoder().encode(info),
      },
      prk,
      bits,
    );
  const [key, nonce] = await Promise.all([derive('key', 256), derive('nonce', 96)]);
  return {
    key: await crypto.subtle.importKey('raw', key, 'AES-GCM', false, ['encrypt', 'decrypt']),
    nonce: new Uint8Array(nonce),
  };
}

function chunkNonce(base: Uint8Array, counter: number): Uint8Array<ArrayBuffer> {
  const nonce = new Uint8Array(base);
  nonce[11] = (nonce[11] ?? 0) ^ counter;
  return nonce;
}

function post(agent: Agent, port: number, path: string, body: Uint8Array): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-length': body.length };
    const outgoing = request(
      { host: '127.0.0.1', port, path, method: 'POST', agent, headers, timeout: 5_000 },
      (incoming) => {
        collect(incoming).then(resolve, reject);
      },
    );
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

async function collect(incoming: IncomingMessage): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of incoming) parts.push(part as Uint8Array);
  return concatBytes(...parts);
}

type Ready = { readonly port: number; readonly keyConfig: Uint8Array; readonly peerPublicKey: ArrayBuffer };

/** The server of {@link benchAddedLatency}, in its own thread. */
async function serve(): Promise<void> {
  const ring = new KeyRing();
  const { config } = await ring.rotate(now, leaseEnd);
  const peer = await Peer.create();
  const answers: Readonly<Record<string, (body: Uint8Array) => Uint8Array | Promise<Uint8Array>>> = {
    '/plain': () => responseBody,
    '/ours': (body) => answerOurs(ring, body),
    '/peer': (body) => peer.answer(body),
  };
  const server = createServer(async (incoming, outgoing) => {
    const answer = answers[incoming.url ?? ''];
    const body = await collect(incoming);
    outgoing.end(answer === undefined ? undefined : await answer(body));
  });
  server.listen(0, '127.0.0.1', () => {
    const { port } = server.address() as AddressInfo;
    parentPort?.postMessage({ port, keyConfig: config, peerPublicKey: peer.publicKey } satisfies Ready);
  });
}

if (!isMainThread) await serve();
