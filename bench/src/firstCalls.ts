import { setTimeout as delay } from 'node:timers/promises';
import type { SandboxDriver, Tenant, Workload } from '@cloister/sandbox';
import type { BarePeer } from './barePeer.ts';
import { type BenchLine, benchLine } from './measure.ts';

const signal = new AbortController().signal;

export type FirstCalls = {
  readonly id: string;
  readonly driver: SandboxDriver & { readonly readyCount: number };
  readonly workload: Workload;
  /** Processes that the driver keeps ready: waited for before each measurement. */
  readonly pooled: number;
  readonly call: (tenant: Tenant) => Promise<void>;
  readonly peer: BarePeer;
  readonly runs: number;
};

/** Opening a tenant and its first call, in turns with the start of the bare runtime and a first call to it. */
export async function firstCalls({ id, driver, workload, pooled, call, peer, runs }: FirstCalls): Promise<BenchLine> {
  const times = { ours: [] as number[], peer: [] as number[] };
  const ours = async (): Promise<number> => {
    const startMs = performance.now();
    const tenant = await driver.open(workload, { signal });
    await call(tenant);
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
  for (let run = -2; run < runs; run += 1) {
    // The pool refills in between: a refill at the same time would be measured too.
    while (driver.readyCount < pooled) await delay(5);
    await delay(20);
    const ms = await ours();
    while (driver.readyCount < pooled) await delay(5);
    const peerMs = await theirs();
    if (run < 0) continue;
    times.ours.push(ms);
    times.peer.push(peerMs);
  }
  return benchLine(id, times.ours, times.peer);
}

/** One call, read to its end. Throws where it isn't answered. */
export async function callTenant(tenant: Tenant, path: string, body: Uint8Array): Promise<number> {
  const answer = await tenant.invoke({ method: 'POST', path, headers: [], body }, { signal });
  let bytes = 0;
  for await (const chunk of answer.body) bytes += chunk.length;
  const { status, message } = await answer.finished;
  if (status !== 'ok' || answer.status !== 200) throw new Error(`Expected an answer, got "${status}": ${message}`);
  return bytes;
}
