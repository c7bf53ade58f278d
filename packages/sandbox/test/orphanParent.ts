import type { JailChoice } from '../src/index.ts';
import { createFunctionDriver } from '../src/index.ts';
import { processTree } from '../src/process/procFs.ts';

/** Run as a process of its own by the test of orphans: opens a tenant, says which processes there are, and waits to be killed. */
const [, , runDir = '', jail = 'auto', cgroups = 'true'] = process.argv;
const signal = new AbortController().signal;
const driver = createFunctionDriver({ runDir, jail: jail as JailChoice, cgroups: cgroups === 'true', pooled: 1 });
await driver.start({ signal });
const tenant = await driver.open(
  {
    tenant: `0x${'11'.repeat(32)}`,
    version: `0x${'22'.repeat(32)}`,
    kind: 'function',
    code: new TextEncoder().encode('export default { fetch() { for (;;); } };'),
    env: {},
    outboundHosts: [],
    limits: { memoryBytes: 128 * 1024 * 1024, wallMs: 600_000, outputBytes: 1, maxConcurrent: 1 },
  },
  { signal },
);
void tenant.invoke({ method: 'GET', path: '/', headers: [], body: new Uint8Array() }, { signal });
while (driver.readyCount < 1) await new Promise((resolve) => setTimeout(resolve, 10));
console.log(JSON.stringify({ pids: processTree(process.pid).slice(1), walls: driver.walls }));
setInterval(() => {}, 60_000);
