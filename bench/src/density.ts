import { setTimeout as delay } from 'node:timers/promises';
import type { Tenant } from '@cloister/sandbox';
import { callTenant } from './firstCalls.ts';
import { heldBytes } from './heldBytes.ts';
import { type KindName, measuredKind } from './kinds.ts';
import type { BenchLine } from './measure.ts';

const MiB = 1024 * 1024;
const signal = new AbortController().signal;
/** How many of each are held at once; models are larger. */
const counts: Readonly<Record<KindName, number>> = { function: 16, wasm: 16, 'model-onnx': 8 };

/**
 * Megabytes that one app more holds once it has answered a call and rests, beside one bare runtime more: memory of its own and
 * its part of what processes share (PSS, proc(5)). 4,096 divided by it is how many rest in 4 GB.
 */
export async function benchDensity(): Promise<readonly BenchLine[]> {
  const lines: BenchLine[] = [];
  for (const name of Object.keys(counts) as KindName[]) lines.push(await densityOf(name, counts[name]));
  return lines;
}

async function densityOf(name: KindName, count: number): Promise<BenchLine> {
  const kind = await measuredKind(name, 0);
  const stops: (() => Promise<void>)[] = [];
  try {
    const before = heldBytes();
    const tenants: Tenant[] = [];
    for (let index = 0; index < count; index += 1) {
      const tenant = await kind.driver.open(kind.workload(128 * MiB), { signal });
      await callTenant(tenant, kind.path, kind.body);
      tenants.push(tenant);
    }
    // Until they rest.
    await delay(1500);
    const ours = (heldBytes() - before) / count / MiB;
    for (const tenant of tenants) await tenant.close();
    await delay(500);
    const empty = heldBytes();
    for (let index = 0; index < count; index += 1) {
      const peer = await kind.peer();
      stops.push(await peer.start());
      await peer.call();
    }
    await delay(1500);
    const peer = (heldBytes() - empty) / count / MiB;
    const [own, other] = [ours, peer].map((value) => Number(value.toPrecision(4))) as [number, number];
    return {
      id: `${name}-density`,
      ours: own,
      peer: other,
      unit: 'MB',
      ratio: Number((own / other).toPrecision(4)),
      runs: count,
    };
  } finally {
    for (const stop of stops) await stop();
    await kind.close();
  }
}
