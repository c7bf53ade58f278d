// A worker that is to be killed: opens an app on a driver that keeps its storage and on one that does not, says which of this
// machine's processes they are, and waits.
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { ContainerDriver } from '../../src/index.ts';

const [runDir = '', storageDir = '', archive = '', inGvisor = 'false'] = process.argv.slice(2);
const gvisor = inGvisor === 'true' ? 'required' : 'off';
const { signal } = new AbortController();
const MiB = 1024 * 1024;

for (const [mark, driver] of [
  ['kept', new ContainerDriver({ runDir, storageDir, gvisor })],
  ['temporary', new ContainerDriver({ gvisor })],
] as const) {
  await driver.start({ signal });
  const image = await driver.loadImage(archive, 'sleep', signal);
  const service = { name: 'web', image, environment: {}, tmpfs: [] };
  // It never listens, so this never settles.
  void driver.open(
    {
      tenant: `0x${'77'.repeat(32)}`,
      version: `0x${'22'.repeat(32)}`,
      kind: 'container',
      code: new Uint8Array(),
      env: { MARK: mark },
      outboundHosts: [],
      container: { services: [service], port: 8080 },
      limits: { memoryBytes: 64 * MiB, wallMs: 10_000, outputBytes: MiB, maxConcurrent: 1 },
    },
    { signal },
  );
}
const pids = await (gvisor === 'off' ? Promise.all(['kept', 'temporary'].map(pidOf)) : sandboxes(2));
console.log(JSON.stringify(pids));
setInterval(() => {}, 1_000);

/** The process with this in its environment that runs the image's program. */
async function pidOf(mark: string): Promise<number> {
  for (;;) {
    for (const name of readdirSync('/proc').filter((each) => /^\d+$/.test(each))) {
      const [comm, environment] = [read(`/proc/${name}/comm`), read(`/proc/${name}/environ`)];
      if (comm === 'sleep\n' && environment.includes(`MARK=${mark}`)) return Number(name);
    }
    await delay(50);
  }
}

/** Kernels of gVisor's that are in groups of this process: programs in them are none of this machine's. */
async function sandboxes(count: number): Promise<number[]> {
  for (;;) {
    const found = readdirSync('/proc').filter(
      (name) =>
        read(`/proc/${name}/cmdline`).startsWith('runsc-sandbox\0') &&
        read(`/proc/${name}/cgroup`).includes(`/cloister.${process.pid}.`),
    );
    if (found.length === count) return found.map(Number);
    await delay(50);
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
