import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createFunctionDriver, type FunctionDriver, findWorkerd, type Tenant, type Workload } from '@cloister/sandbox';
import { type BenchLine, benchLine, interleaved } from './measure.ts';

const MiB = 1024 * 1024;
const source = 'export default { async fetch(request) { return new Response(await request.arrayBuffer()); } };';
const body = new Uint8Array(1024).fill(1);
const signal = new AbortController().signal;

/**
 * A function's first call on a worker without and with a process that waits, and each next call, beside workerd alone:
 * its start and first call, and a call to it while it runs. The peer has no walls, no limits, no gate and no meter.
 */
export async function benchFunctions(): Promise<readonly BenchLine[]> {
  const directory = await mkdtemp(join(tmpdir(), 'cloister-bench-'));
  const driver = createFunctionDriver({ pooled: 1 });
  const pending: (() => Promise<void>)[] = [];
  try {
    await driver.start({ signal });
    const peer = new BareWorkerd(directory);
    await peer.prepare();
    // A limit that the waiting processes aren't for: this workload gets a process started for it.
    const cold = await firstCalls('function-cold', driver, peer, workload(256 * MiB));
    const pooled = await firstCalls('function-pooled', driver, peer, workload(128 * MiB));
    const tenant = await driver.open(workload(128 * MiB), { signal });
    const stopPeer = await peer.start();
    pending.push(stopPeer);
    const warm = await interleaved({
      id: 'function-warm',
      ours: () => callTenant(tenant),
      peer: () => peer.call(),
      runs: 40,
      callsPerRun: 100,
      warmUps: 10,
    });
    return [cold, pooled, warm];
  } finally {
    for (const stop of pending) await stop();
    await driver.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

/** Opening a tenant and its first call, in turns with the start of the bare runtime and a first call to it. */
async function firstCalls(id: string, driver: FunctionDriver, peer: BareWorkerd, work: Workload): Promise<BenchLine> {
  const times = { ours: [] as number[], peer: [] as number[] };
  const ours = async (): Promise<number> => {
    const startMs = performance.now();
    const tenant = await driver.open(work, { signal });
    await callTenant(tenant);
    const ms = performance.now() - startMs;
    await tenant.close();
    return ms;
  };
  const theirs = async (): Promise<number> => {
    const startMs = performance.now();
    const stop = await peer.start();
    await peer.call();
    const ms = performance.now() - startMs;
    await stop();
    return ms;
  };
  for (let run = -2; run < 20; run += 1) {
    // The pool refills in between: a refill at the same time would be measured too.
    while (driver.readyCount < 1) await delay(5);
    await delay(20);
    const ms = await ours();
    while (driver.readyCount < 1) await delay(5);
    const peerMs = await theirs();
    if (run < 0) continue;
    times.ours.push(ms);
    times.peer.push(peerMs);
  }
  return benchLine(id, times.ours, times.peer);
}

async function callTenant(tenant: Tenant): Promise<void> {
  const answer = await tenant.invoke({ method: 'POST', path: '/', headers: [], body }, { signal });
  let bytes = 0;
  for await (const chunk of answer.body) bytes += chunk.length;
  const { status, message } = await answer.finished;
  if (status !== 'ok' || bytes !== body.length) throw new Error(`Expected an answer, got "${status}": ${message}`);
}

function workload(memoryBytes: number): Workload {
  return {
    tenant: `0x${'11'.repeat(32)}`,
    version: `0x${'22'.repeat(32)}`,
    kind: 'function',
    code: new TextEncoder().encode(source),
    env: {},
    outboundHosts: [],
    limits: { memoryBytes, wallMs: 10_000, outputBytes: MiB, maxConcurrent: 4 },
  };
}

/** workerd with the same function, started as its documentation says. */
class BareWorkerd {
  readonly #directory: string;
  readonly #socketPath: string;
  #agent = new Agent({ keepAlive: true });

  constructor(directory: string) {
    this.#directory = directory;
    this.#socketPath = join(directory, 'peer.sock');
  }

  async prepare(): Promise<void> {
    await writeFile(join(this.#directory, 'worker.js'), source);
    await writeFile(
      join(this.#directory, 'config.capnp'),
      `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .worker), (name = "internet", network = (allow = []))],
  sockets = [(name = "http", address = "unix:${this.#socketPath}", http = (), service = "main")],
);
const worker :Workerd.Worker = (
  modules = [(name = "worker.js", esModule = embed "worker.js")],
  compatibilityDate = "2026-11-01",
);
`,
    );
  }

  /** Starts it and waits until it listens; gives what stops it. */
  async start(): Promise<() => Promise<void>> {
    await rm(this.#socketPath, { force: true });
    const config = join(this.#directory, 'config.capnp');
    const child: ChildProcess = spawn(findWorkerd(), ['serve', '--control-fd=3', config], {
      stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
    });
    const control = child.stdio[3];
    if (control === null || control === undefined) throw new Error('Expected a control pipe');
    await once(control, 'data');
    return async () => {
      this.#agent.destroy();
      this.#agent = new Agent({ keepAlive: true });
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    };
  }

  call(): Promise<void> {
    return new Promise((resolve, reject) => {
      const outgoing = request(
        {
          agent: this.#agent,
          socketPath: this.#socketPath,
          method: 'POST',
          path: '/',
          headers: { host: 'app.invalid' },
        },
        (answer) => {
          answer.resume();
          answer.once('end', resolve);
          answer.once('error', reject);
        },
      );
      outgoing.once('error', reject);
      outgoing.end(body);
    });
  }
}
