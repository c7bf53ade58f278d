import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { ContainerDriver, type LoadedImage, nodeImage, type Tenant, type Workload } from '@cloister/sandbox';
import { callTenant } from './firstCalls.ts';
import { heldByMachine } from './heldBytes.ts';
import { type BenchLine, benchLine, interleaved } from './measure.ts';

const MiB = 1024 * 1024;
const signal = new AbortController().signal;
const run = promisify(execFile);
const coldRuns = 10;
/** How many of each are held at once. */
const held = 6;
const body = new Uint8Array(1024).fill(1);
/** Answers with what it is given, on a TCP port in our containers, on a socket in a folder of the machine in the peer's. */
const program = `import { createServer } from 'node:http';
createServer(async (request, response) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  response.end(Buffer.concat(parts));
}).listen(process.argv[2] ?? 8080);
`;

/**
 * A container of Node.js beside the same image started by runc alone, as a bundle that is already unpacked, with the namespaces of
 * "runc spec" and no limits: its first call, each next call, and the megabytes that one more holds.
 */
export async function benchContainers(): Promise<readonly BenchLine[]> {
  const directory = await mkdtemp(join(tmpdir(), 'cloister-bench-'));
  const driver = new ContainerDriver();
  try {
    await driver.start({ signal });
    const archive = join(directory, 'echo.tar');
    const files = [{ name: 'echo.mjs', content: Buffer.from(program) }];
    await writeFile(archive, await nodeImage(files, { command: ['/echo.mjs'] }, signal));
    const image = await driver.loadImage(archive, 'echo', signal);
    const root = join(directory, 'rootfs');
    await unpack(archive, directory, root);
    const peers = (index: number) =>
      new RuncPeer(join(directory, `peer-${index}`), root, `cloister-bench-${process.pid}-${index}`);
    return [
      await cold(driver, image, peers(0)),
      await warm(driver, image, peers(1)),
      await density(driver, image, peers),
    ];
  } finally {
    await driver.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

async function cold(driver: ContainerDriver, image: LoadedImage, peer: RuncPeer): Promise<BenchLine> {
  const times = { ours: [] as number[], peer: [] as number[] };
  for (let index = -1; index < coldRuns; index += 1) {
    const startMs = performance.now();
    const tenant = await open(driver, image);
    await callTenant(tenant, '/', body);
    const ours = performance.now() - startMs;
    await tenant.close();
    const peerStartMs = performance.now();
    await peer.start();
    await peer.call();
    const peerMs = performance.now() - peerStartMs;
    await peer.stop();
    if (index < 0) continue;
    times.ours.push(ours);
    times.peer.push(peerMs);
  }
  return benchLine('container-cold', times.ours, times.peer);
}

async function warm(driver: ContainerDriver, image: LoadedImage, peer: RuncPeer): Promise<BenchLine> {
  const tenant = await open(driver, image);
  await peer.start();
  try {
    return await interleaved({
      ...{ id: 'container-warm', runs: 40, callsPerRun: 50, warmUps: 10 },
      ours: () => callTenant(tenant, '/', body),
      peer: () => peer.call(),
    });
  } finally {
    await peer.stop();
    await tenant.close();
  }
}

async function density(
  driver: ContainerDriver,
  image: LoadedImage,
  peerOf: (index: number) => RuncPeer,
): Promise<BenchLine> {
  const before = heldByMachine();
  const tenants: Tenant[] = [];
  for (let index = 0; index < held; index += 1) {
    const tenant = await open(driver, image);
    await callTenant(tenant, '/', body);
    tenants.push(tenant);
  }
  // Until they rest.
  await delay(1500);
  const ours = (heldByMachine() - before) / held / MiB;
  for (const tenant of tenants) await tenant.close();
  await delay(500);
  const empty = heldByMachine();
  const peers = Array.from({ length: held }, (_, index) => peerOf(10 + index));
  try {
    for (const peer of peers) {
      await peer.start();
      await peer.call();
    }
    await delay(1500);
    const peer = (heldByMachine() - empty) / held / MiB;
    const [own, other] = [ours, peer].map((value) => Number(value.toPrecision(4))) as [number, number];
    const ratio = Number((own / other).toPrecision(4));
    return { id: 'container-density', ours: own, peer: other, unit: 'MB', ratio, runs: held };
  } finally {
    for (const peer of peers) await peer.stop();
  }
}

function open(driver: ContainerDriver, image: LoadedImage): Promise<Tenant> {
  const workload: Workload = {
    ...{ tenant: `0x${'11'.repeat(32)}`, version: `0x${'22'.repeat(32)}`, kind: 'container', code: new Uint8Array() },
    ...{ env: {}, outboundHosts: [] },
    limits: { memoryBytes: 256 * MiB, wallMs: 30_000, outputBytes: MiB, maxConcurrent: 4 },
    container: { services: [{ name: 'web', image, environment: {}, tmpfs: [] }], port: 8080 },
  };
  return driver.open(workload, { signal });
}

/** Both layers of the image, one over the other. */
async function unpack(archive: string, directory: string, root: string): Promise<void> {
  const unpacked = join(directory, 'image');
  for (const folder of [unpacked, root]) await mkdir(folder);
  await run('tar', ['-xf', archive, '-C', unpacked]);
  const [image] = JSON.parse(await readFile(join(unpacked, 'manifest.json'), 'utf8')) as [{ Layers: string[] }];
  for (const layer of image.Layers) await run('tar', ['-xf', join(unpacked, layer), '-C', root]);
  for (const folder of ['proc', 'dev', 'sys', 'socket']) await mkdir(join(root, folder), { recursive: true });
}

type RuncSpec = {
  process: { terminal: boolean; args: string[] };
  root: { path: string };
  mounts: object[];
};

/** runc and nothing around it. */
class RuncPeer {
  readonly #bundle: string;
  readonly #root: string;
  readonly #id: string;
  #agent = new Agent({ keepAlive: true });
  #ended: Promise<unknown> | undefined;

  constructor(bundle: string, root: string, id: string) {
    this.#bundle = bundle;
    this.#root = root;
    this.#id = id;
  }

  /** Returns once it listens. */
  async start(): Promise<void> {
    const sockets = join(this.#bundle, 'socket');
    await mkdir(sockets, { recursive: true });
    await rm(join(this.#bundle, 'config.json'), { force: true });
    await rm(join(sockets, 'http'), { force: true });
    await run('runc', ['spec'], { cwd: this.#bundle });
    const file = join(this.#bundle, 'config.json');
    const spec = JSON.parse(await readFile(file, 'utf8')) as RuncSpec;
    spec.process.terminal = false;
    spec.process.args = ['/bin/node', '/echo.mjs', '/socket/http'];
    spec.root.path = this.#root;
    spec.mounts.push({ destination: '/socket', type: 'none', source: sockets, options: ['bind', 'rw'] });
    await writeFile(file, JSON.stringify(spec));
    const child = spawn('runc', ['run', '--bundle', this.#bundle, this.#id], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    this.#ended = once(child, 'exit');
    const deadline = performance.now() + 20_000;
    while (
      !(await this.call().then(
        () => true,
        () => false,
      ))
    ) {
      if (child.exitCode !== null || performance.now() > deadline) throw new Error('runc started no container');
      await delay(5);
    }
  }

  call(): Promise<void> {
    return new Promise((resolve, reject) => {
      const socketPath = join(this.#bundle, 'socket', 'http');
      const outgoing = request({ agent: this.#agent, socketPath, method: 'POST', path: '/' }, (answer) => {
        answer.resume();
        answer.once('end', () => (answer.statusCode === 200 ? resolve() : reject(new Error('Expected an answer'))));
        answer.once('error', reject);
      });
      outgoing.once('error', reject);
      outgoing.end(body);
    });
  }

  async stop(): Promise<void> {
    if (this.#ended === undefined) return;
    this.#agent.destroy();
    this.#agent = new Agent({ keepAlive: true });
    await run('runc', ['kill', this.#id, 'KILL']);
    await this.#ended;
    this.#ended = undefined;
  }
}
