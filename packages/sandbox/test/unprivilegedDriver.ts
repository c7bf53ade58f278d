import { createFunctionDriver, type JailChoice } from '../src/index.ts';

/** Run as a process of another user by the test of that: says which walls there are and how some calls end. */
const [, , jail = 'auto'] = process.argv;
const signal = new AbortController().signal;
const driver = createFunctionDriver({ jail: jail as JailChoice, pooled: 1 });
await driver.start({ signal });
const code = `
export default {
  async fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname === '/spin') for (;;);
    if (pathname === '/memory') for (const kept = []; ; ) kept.push(new Uint8Array(1 << 20).fill(1));
    if (pathname === '/inside') return fetch('http://127.0.0.1/');
    return new Response('x');
  },
};`;
const tenant = await driver.open(
  {
    tenant: `0x${'11'.repeat(32)}`,
    version: `0x${'22'.repeat(32)}`,
    kind: 'function',
    code: new TextEncoder().encode(code),
    env: {},
    outboundHosts: ['http://127.0.0.1'],
    limits: { memoryBytes: 128 * 1024 * 1024, wallMs: 4000, outputBytes: 1000, maxConcurrent: 1 },
  },
  { signal },
);
const ends: string[] = [];
for (const path of ['/', '/spin', '/memory', '/inside', '/']) {
  const { body, finished } = await tenant.invoke(
    { method: 'GET', path, headers: [], body: new Uint8Array() },
    { signal },
  );
  for await (const _chunk of body);
  const { status, limit } = await finished;
  ends.push(limit ?? status);
}
console.log(JSON.stringify({ uid: process.getuid?.(), walls: driver.walls, ends }));
await driver.stop();
