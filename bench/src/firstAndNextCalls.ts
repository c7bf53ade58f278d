import { callTenant, firstCalls } from './firstCalls.ts';
import { type KindName, type MeasuredKind, measuredKind } from './kinds.ts';
import { type BenchLine, interleaved } from './measure.ts';

const MiB = 1024 * 1024;
const signal = new AbortController().signal;

/**
 * An app's first call on a worker without and with a process that waits, and each next call, beside the bare runtime: its
 * start and first call, and a call to it while it runs. The peer has no walls, no limits, no gate and no meter.
 */
export async function benchFunctions(): Promise<readonly BenchLine[]> {
  return benchKind('function', { cold: true, pooled: true, runs: 20, calls: 100 });
}

/** The same of a WebAssembly module; the peer is Node.js with node:wasi. */
export async function benchModules(): Promise<readonly BenchLine[]> {
  return benchKind('wasm', { cold: true, pooled: true, runs: 20, calls: 100 });
}

/** The same of a small ONNX model, for which nothing waits; the peer is Node.js with onnxruntime-node. */
export async function benchOnnx(): Promise<readonly BenchLine[]> {
  return benchKind('model-onnx', { cold: true, pooled: false, runs: 10, calls: 100 });
}

type Wanted = { readonly cold: boolean; readonly pooled: boolean; readonly runs: number; readonly calls: number };

async function benchKind(name: KindName, { cold, pooled, runs, calls }: Wanted): Promise<readonly BenchLine[]> {
  const kind = await measuredKind(name, pooled ? 1 : 0);
  const lines: BenchLine[] = [];
  try {
    // A limit that the waiting processes aren't for: this workload gets a process started for it.
    if (cold) lines.push(await first(`${name}-cold`, kind, 256 * MiB, pooled, runs));
    if (pooled) lines.push(await first(`${name}-pooled`, kind, 128 * MiB, pooled, runs));
    lines.push(await warm(`${name}-warm`, kind, calls));
    return lines;
  } finally {
    await kind.close();
  }
}

async function first(id: string, kind: MeasuredKind, memoryBytes: number, pooled: boolean, runs: number) {
  const { driver, path, body } = kind;
  return firstCalls({
    ...{ id, driver, runs, pooled: pooled ? 1 : 0 },
    workload: kind.workload(memoryBytes),
    call: async (tenant) => void (await callTenant(tenant, path, body)),
    peer: await kind.peer(),
  });
}

async function warm(id: string, { driver, workload, path, body, peer }: MeasuredKind, calls: number) {
  const tenant = await driver.open(workload(128 * MiB), { signal });
  const bare = await peer();
  const stop = await bare.start();
  try {
    return await interleaved({
      ...{ id, runs: 40, callsPerRun: calls, warmUps: 10 },
      ours: () => callTenant(tenant, path, body),
      peer: () => bare.call(),
    });
  } finally {
    await stop();
    await tenant.close();
  }
}
