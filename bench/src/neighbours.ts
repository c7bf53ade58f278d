import { createFunctionDriver, type FunctionDriver, SandboxError, type Tenant, type Workload } from '@cloister/sandbox';
import { type BenchLine, benchLine } from './measure.ts';

const MiB = 1024 * 1024;
const signal = new AbortController().signal;
const runs = 15;
const callsPerRun = 40;

/** What a neighbour does all the time, by the id of its line. */
const busy: Readonly<Record<string, string>> = {
  'neighbour-spin': 'for (;;);',
  'neighbour-answer': `
    const piece = new Uint8Array(1);
    return new Response(new ReadableStream({ pull(c) { c.enqueue(piece); return new Promise((r) => setTimeout(r, 0)); } }));`,
  'neighbour-log': 'for (;;) { console.log("x"); await new Promise((r) => setTimeout(r, 0)); }',
  'neighbour-outbound': `
    const one = () => fetch('http://refused.example/').catch(() => {});
    for (;;) await Promise.all(Array.from({ length: 32 }, one));`,
};

/**
 * A warm call of one app while another app of the same worker does its worst, beside the same call while it is alone, in
 * turns: the ratio is how much a neighbour slows.
 */
export async function benchNeighbours(): Promise<readonly BenchLine[]> {
  const driver = createFunctionDriver({ pooled: 0, restarts: { burst: 1000, perSecond: 100 } });
  try {
    await driver.start({ signal });
    const quiet = await driver.open(workload('11', "return new Response('x');"), { signal });
    await timed(quiet);
    const lines: BenchLine[] = [];
    for (const [id, source] of Object.entries(busy)) lines.push(await beside(id, source, driver, quiet));
    return lines;
  } finally {
    await driver.stop();
  }
}

async function beside(id: string, source: string, driver: FunctionDriver, quiet: Tenant): Promise<BenchLine> {
  const times = { ours: [] as number[], peer: [] as number[] };
  for (let run = -1; run < runs; run += 1) {
    const alone = await timed(quiet);
    const neighbour = await driver.open(workload('22', source), { signal });
    const over = new AbortController();
    const calls = [drain(neighbour, over.signal), drain(neighbour, over.signal)];
    await new Promise((resolve) => setTimeout(resolve, 50));
    const disturbed = await timed(quiet);
    over.abort();
    await Promise.all(calls);
    await neighbour.close();
    if (run < 0) continue;
    times.peer.push(alone);
    times.ours.push(disturbed);
  }
  return benchLine(id, times.ours, times.peer);
}

async function timed(tenant: Tenant): Promise<number> {
  const startMs = performance.now();
  for (let index = 0; index < callsPerRun; index += 1) await answer(tenant, signal);
  return (performance.now() - startMs) / callsPerRun;
}

async function answer(tenant: Tenant, given: AbortSignal): Promise<void> {
  const request = { method: 'GET', path: '/', headers: [], body: new Uint8Array() };
  const { body, finished } = await tenant.invoke(request, { signal: given });
  for await (const _ of body);
  await finished;
}

/** The neighbour's own call, until it is given up. */
function drain(tenant: Tenant, given: AbortSignal): Promise<void> {
  return answer(tenant, given).catch((error: unknown) => {
    if (!(error instanceof SandboxError)) throw error;
  });
}

function workload(digits: string, source: string): Workload {
  return {
    tenant: `0x${digits.repeat(32)}`,
    version: `0x${'22'.repeat(32)}`,
    kind: 'function',
    code: new TextEncoder().encode(`export default { async fetch() { ${source} } };`),
    env: {},
    outboundHosts: [],
    limits: { memoryBytes: 128 * MiB, wallMs: 60_000, outputBytes: 64 * MiB, maxConcurrent: 4 },
  };
}
