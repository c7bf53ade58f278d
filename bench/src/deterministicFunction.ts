import { FunctionDriver, QuickJsDriver, type SandboxDriver, type Tenant } from '@cloister/sandbox';
import { type BenchLine, interleaved } from './measure.ts';

const MiB = 1024 * 1024;
const source = 'export default { async fetch(request) { return new Response(await request.arrayBuffer()); } };';
const body = new Uint8Array(1024).fill(1);
const signal = new AbortController().signal;

/** A call of a deterministic function that is loaded, beside the same function on workerd, both behind the same walls. */
export async function benchDeterministicFunctions(): Promise<readonly BenchLine[]> {
  const drivers: readonly SandboxDriver[] = [new QuickJsDriver({ pooled: 0 }), new FunctionDriver({ pooled: 0 })];
  try {
    for (const driver of drivers) await driver.start({ signal });
    const [ours, peer] = await Promise.all(drivers.map(openEcho));
    if (ours === undefined || peer === undefined) throw new Error('Expected two tenants');
    return [
      await interleaved({
        id: 'function-deterministic-warm',
        ours: () => callTenant(ours),
        peer: () => callTenant(peer),
        runs: 20,
        callsPerRun: 20,
        warmUps: 5,
      }),
    ];
  } finally {
    for (const driver of drivers) await driver.stop();
  }
}

function openEcho(driver: SandboxDriver): Promise<Tenant> {
  const isDeterministic = driver.runtimes.includes('quickjs');
  return driver.open(
    {
      tenant: `0x${'11'.repeat(32)}`,
      version: `0x${'22'.repeat(32)}`,
      kind: 'function',
      code: new TextEncoder().encode(source),
      env: {},
      outboundHosts: [],
      limits: {
        memoryBytes: 128 * MiB,
        wallMs: 10_000,
        outputBytes: MiB,
        maxConcurrent: 4,
        ...(isDeterministic && { fuel: 1_000_000_000 }),
      },
      deterministic: isDeterministic,
    },
    { signal },
  );
}

async function callTenant(tenant: Tenant): Promise<void> {
  const answer = await tenant.invoke({ method: 'POST', path: '/', headers: [], body }, { signal });
  let bytes = 0;
  for await (const chunk of answer.body) bytes += chunk.length;
  const { status, message } = await answer.finished;
  if (status !== 'ok' || bytes !== body.length) throw new Error(`Expected an answer, got "${status}": ${message}`);
}
