import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { Agent, createServer, request as httpRequest, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export type RelayBenchOptions = {
  /** Measured rounds; each asks every way `callsPerTurn` times. @default 150 */
  readonly rounds?: number;
  readonly warmUpRounds?: number;
  /** Calls over one way before the next has its turn. @default 20 */
  readonly callsPerTurn?: number;
  /** Request and answer, bytes. @default 1024 */
  readonly bytes?: number;
};

/** Medians in ms. `ours` and `peer` are what a relay adds to the direct way. */
export type RelayBenchResult = {
  readonly id: 'relay-added-1k';
  readonly ours: number;
  readonly peer: number;
  readonly unit: 'ms';
  readonly ratio: number;
  readonly runs: number;
  readonly medians: { readonly direct: number; readonly gateway: number; readonly reverseProxy: number };
};

type Way = {
  readonly name: 'direct' | 'gateway' | 'reverseProxy';
  readonly url: URL;
  readonly agent: Agent;
  readonly times: number[];
};

const workerId = `0x${'01'.repeat(32)}` as const;
const domain = { chainId: 31337, registry: `0x${'02'.repeat(20)}` } as const;
const requestType = 'message/ohttp-req';
const answerType = 'message/ohttp-res';

/**
 * What a gateway adds to a call of 1 kB, beside what a plain reverse proxy of Node.js adds. Worker, gateway and proxy
 * are processes of their own; the worker answers the same bytes over all ways; requests take turns on kept connections.
 */
export async function relayAdded1k(options: RelayBenchOptions = {}): Promise<RelayBenchResult> {
  const { rounds = 150, warmUpRounds = 50, callsPerTurn = 20, bytes = 1_024 } = options;
  const parts: Part[] = [];
  try {
    const gateway = await startPart(parts, 'gateway');
    const worker = await startPart(parts, 'worker', gateway);
    const reverseProxy = await startPart(parts, 'reverseProxy', worker);
    const path = `/v1/workers/${workerId}/call`;
    const ways: readonly Way[] = [
      { name: 'direct', url: new URL(path, worker), agent: keptConnection(), times: [] },
      { name: 'gateway', url: new URL(path, gateway), agent: keptConnection(), times: [] },
      { name: 'reverseProxy', url: new URL(path, reverseProxy), agent: keptConnection(), times: [] },
    ];
    const body = Buffer.alloc(bytes, 7);
    for (let round = -warmUpRounds; round < rounds; round++)
      for (let turn = 0; turn < ways.length; turn++) {
        const way = ways[(turn + Math.abs(round)) % ways.length];
        if (way === undefined) continue;
        for (let call = 0; call < callsPerTurn; call++) {
          const startedAt = performance.now();
          await exchange(way, body);
          if (round >= 0) way.times.push(performance.now() - startedAt);
        }
      }
    for (const { agent } of ways) agent.destroy();
    const [direct = 0, ours = 0, proxied = 0] = ways.map(({ times }) => median(times));
    const [added, peer] = [ours - direct, proxied - direct];
    return {
      id: 'relay-added-1k',
      ours: added,
      peer,
      unit: 'ms',
      ratio: added / peer,
      runs: rounds * callsPerTurn,
      medians: { direct, gateway: ours, reverseProxy: proxied },
    };
  } finally {
    for (const part of parts) await part.stop();
  }
}

function exchange({ url, agent }: Way, body: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      url,
      { method: 'POST', agent, headers: { 'content-type': requestType, 'content-length': body.length } },
      (response) => {
        let received = 0;
        response.on('data', (chunk: Buffer) => {
          received += chunk.length;
        });
        response.on('end', () =>
          response.statusCode === 200 && received === body.length
            ? resolve()
            : reject(new Error(`Got status ${response.statusCode} and ${received} bytes from ${url.origin}`)),
        );
        response.on('error', reject);
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}

function keptConnection(): Agent {
  return new Agent({ keepAlive: true, maxSockets: 1 });
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}

type Part = { readonly child: ChildProcess; stop(): Promise<void> };

/** Starts this file as the process of one part; resolves with its URL. It ends when its standard input does. */
async function startPart(parts: Part[], role: string, upstream = ''): Promise<string> {
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), role, upstream], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  parts.push({
    child,
    async stop() {
      child.stdin.end();
      await exited;
    },
  });
  const line = await Promise.race([once(createInterface(child.stdout), 'line'), exited]);
  if (typeof line[0] !== 'string') throw new Error(`The ${role} of the relay benchmark did not start`);
  return line[0];
}

async function listen(onRequest: RequestListener): Promise<string> {
  const server = createServer({ noDelay: true, keepAliveTimeout: 60_000 }, onRequest);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Answers the request's own bytes, directly over HTTP and through the gateway. */
async function runWorker(gateway: string): Promise<string> {
  const { WorkerDialler } = await import('../../apps/worker/src/gatewayDialler.ts');
  const { encodeCallHead } = await import('@cloister/channel/frame');
  const { signDigest } = await import('@cloister/crypto');
  const { silentLogger } = await import('@cloister/service');
  const secret = await benchSecret();
  const head = encodeCallHead({ status: 200, contentType: answerType });
  const contracts = {
    workerRegistry: domain.registry,
    timelock: domain.registry,
    phaToken: domain.registry,
    imageRegistry: domain.registry,
    appRegistry: domain.registry,
    gatekeeperCommittee: domain.registry,
    epochRecords: domain.registry,
    payments: domain.registry,
    stakePools: domain.registry,
    workerBonds: domain.registry,
    slashing: domain.registry,
    emission: domain.registry,
    epochRewards: domain.registry,
    storageRent: domain.registry,
    governor: domain.registry,
  };
  const dialler = new WorkerDialler({
    network: { gateways: [gateway], chainId: domain.chainId, contracts },
    workerId,
    sign: (digest) => signDigest(secret, digest),
    log: silentLogger,
    async serve(stream) {
      const chunks: Uint8Array[] = [];
      for await (const chunk of stream) chunks.push(Uint8Array.from(chunk));
      stream.sendHead(head);
      await stream.end(Buffer.concat(chunks));
    },
  });
  await dialler.start();
  return listen((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks);
      response.writeHead(200, { 'content-type': answerType, 'content-length': body.length });
      response.end(body);
    });
  });
}

async function runGateway(): Promise<string> {
  const { Gateway } = await import('../../apps/gateway/src/gateway.ts');
  const { defaultGatewayLimits } = await import('../../apps/gateway/src/limits.ts');
  const { addressOf } = await import('@cloister/crypto');
  const { createMetrics, silentLogger } = await import('@cloister/service');
  const { paidStorage } = await import('@cloister/chain');
  const signer = addressOf(await benchSecret());
  const dataDir = mkdtempSync(join(tmpdir(), 'cloister-bench-'));
  process.on('exit', () => rmSync(dataDir, { recursive: true, force: true }));
  const gateway = new Gateway(
    {
      gatekeepers: async () => [],
      ownerOf: async () => domain.registry,
      isActiveSigner: async () => false,
      paidStorage: async () => paidStorage([], 0),
      resolveSigner: async () => signer,
      domain,
      log: silentLogger,
      metrics: createMetrics(),
    },
    {
      host: '127.0.0.1',
      port: 0,
      dataDir,
      limits: { ...defaultGatewayLimits, callsPerSecondPerClient: 1_000_000, callBurstPerClient: 1_000_000 },
    },
  );
  await gateway.start();
  return gateway.url;
}

/** The peer: what one writes in Node.js to put a server behind another. */
async function runReverseProxy(upstream: string): Promise<string> {
  const agent = new Agent({ keepAlive: true });
  const target = new URL(upstream);
  return listen((request, response) => {
    const onward = httpRequest(
      {
        host: target.hostname,
        port: target.port,
        path: request.url,
        method: request.method,
        headers: request.headers,
        agent,
      },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      },
    );
    onward.on('error', () => response.destroy());
    request.pipe(onward);
  });
}

/** Not a secret: both ends of the benchmark must know it. */
async function benchSecret() {
  const { SecretBytes } = await import('@cloister/crypto');
  return new SecretBytes(new Uint8Array(32).fill(9));
}

async function runPart(role: string, upstream: string): Promise<void> {
  process.stdin.on('end', () => process.exit(0)).resume();
  const url =
    role === 'worker'
      ? await runWorker(upstream)
      : role === 'gateway'
        ? await runGateway()
        : await runReverseProxy(upstream);
  console.log(url);
}

if (import.meta.main) {
  const [role, upstream = ''] = process.argv.slice(2);
  if (role === undefined) console.log(JSON.stringify(await relayAdded1k()));
  else await runPart(role, upstream);
}
