// A worker that is to be killed: opens an app, prints the id of its process on this machine, and waits.
import { readdirSync, readFileSync } from 'node:fs';
import { ContainerDriver } from '../../src/index.ts';

const [storageDir = '', runDir = '', archive = ''] = process.argv.slice(2);
const { signal } = new AbortController();
const driver = new ContainerDriver({ storageDir, runDir });
await driver.start({ signal });
const image = await driver.loadImage(archive, 'actor', signal);
const MiB = 1024 * 1024;
await driver.open(
  {
    tenant: `0x${'77'.repeat(32)}`,
    version: `0x${'22'.repeat(32)}`,
    kind: 'container',
    code: new Uint8Array(),
    env: { MARK: 'orphan' },
    outboundHosts: [],
    container: { services: [{ name: 'web', image, environment: {}, tmpfs: [] }], port: 8080 },
    limits: { memoryBytes: 128 * MiB, wallMs: 10_000, outputBytes: MiB, maxConcurrent: 1 },
  },
  { signal },
);
const pid = readdirSync('/proc').find((name) => {
  if (!/^\d+$/.test(name)) return false;
  try {
    return readFileSync(`/proc/${name}/environ`, 'utf8').includes('MARK=orphan');
  } catch {
    return false;
  }
});
console.log(pid);
setInterval(() => {}, 1_000);
