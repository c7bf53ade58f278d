import { createFunctionDriver, type FunctionDriver, type Tenant } from '@cloister/sandbox';
import { callTenant } from './firstCalls.ts';
import { kilobyte, workloadOf } from './kinds.ts';
import { type BenchLine, benchLine, interleaved } from './measure.ts';

const MiB = 1024 * 1024;
const signal = new AbortController().signal;
const runs = 20;

/**
 * What the walls cost: a function behind all that this machine can give (a root of its own, namespaces, an identity, control groups),
 * beside the same driver with none of them, its gate and meter left as they are. First call with a process started for it, and each
 * next call.
 */
export async function benchWalls(): Promise<readonly BenchLine[]> {
  const walled = createFunctionDriver({ pooled: 0 });
  const bare = createFunctionDriver({ pooled: 0, jail: 'unsafe-none', cgroups: false });
  try {
    for (const driver of [walled, bare]) await driver.start({ signal });
    const missing = Object.entries(walled.walls).filter(([, { present }]) => !present);
    if (missing.length > 0)
      throw new Error(`Not all walls can be had here: ${missing.map(([name]) => name).join(', ')}`);
    return [await cold(walled, bare), await warm(walled, bare)];
  } finally {
    for (const driver of [walled, bare]) await driver.stop();
  }
}

async function cold(walled: FunctionDriver, bare: FunctionDriver): Promise<BenchLine> {
  const times = { ours: [] as number[], peer: [] as number[] };
  for (let run = -2; run < runs; run += 1) {
    const [ours, peer] = [await first(walled), await first(bare)];
    if (run < 0) continue;
    times.ours.push(ours);
    times.peer.push(peer);
  }
  return benchLine('walls-cold', times.ours, times.peer);
}

async function first(driver: FunctionDriver): Promise<number> {
  const startMs = performance.now();
  const tenant = await open(driver);
  await callTenant(tenant, '/', kilobyte);
  const ms = performance.now() - startMs;
  await tenant.close();
  return ms;
}

async function warm(walled: FunctionDriver, bare: FunctionDriver): Promise<BenchLine> {
  const [ours, peer] = [await open(walled), await open(bare)];
  return interleaved({
    ...{ id: 'walls-warm', runs: 40, callsPerRun: 100, warmUps: 10 },
    ours: () => callTenant(ours, '/', kilobyte),
    peer: () => callTenant(peer, '/', kilobyte),
  });
}

function open(driver: FunctionDriver): Promise<Tenant> {
  return driver.open(workloadOf('function', 128 * MiB, ''), { signal });
}
