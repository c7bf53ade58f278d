import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createFunctionDriver, type FunctionDriver, type Tenant } from '../src/index.ts';
import { unsafeLoopbackDialler } from '../src/unsafe-testing.ts';
import { type Answer, call, never } from './calls.ts';
import { functionWorkload } from './functionWorkload.ts';
import { handler } from './hostileFunctions.ts';

/** The whole way out: function, loader, gate, origin. */
const addresses: Record<string, string[]> = {
  'api.example.com': ['93.184.216.34'],
  'inner.example.com': ['10.0.0.7'],
  'mixed.example.com': ['93.184.216.34', '127.0.0.1'],
};
let origin: Server;
let driver: FunctionDriver;
let tenant: Tenant;
let rebinding = 0;

const source = handler(`
  const { url, init, caught } = await request.json();
  const answer = await fetch(url, init);
  return new Response(answer.body, { status: answer.status, headers: { 'x-url': answer.url } });
`);

beforeAll(async () => {
  origin = createServer((request, response) => {
    if (request.url === '/inside') return response.writeHead(302, { location: 'http://127.0.0.1/' }).end();
    if (request.url === '/elsewhere') return response.writeHead(307, { location: 'https://other.example.com/' }).end();
    if (request.url === '/here') return response.writeHead(302, { location: '/there' }).end();
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
    });
    request.on('end', () => response.end(JSON.stringify({ method: request.method, url: request.url, size })));
  });
  await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', resolve));
  const { port } = origin.address() as AddressInfo;
  driver = createFunctionDriver({
    pooled: 0,
    gate: {
      resolver: async (hostname) => {
        if (hostname === 'rebinding.example.com') {
          rebinding += 1;
          return rebinding % 2 === 1 ? ['93.184.216.34'] : ['127.0.0.1'];
        }
        return addresses[hostname] ?? [];
      },
      dialler: unsafeLoopbackDialler({
        evidence: 'simulated',
        routes: { 'api.example.com:80': port, 'rebinding.example.com:80': port, 'mixed.example.com:80': port },
      }),
    },
  });
  await driver.start({ signal: never });
  const names = [...Object.keys(addresses), 'rebinding.example.com', 'nowhere.example.com'];
  tenant = await driver.open(functionWorkload(source, { outboundHosts: names.map((name) => `http://${name}`) }), {
    signal: never,
  });
});
afterAll(async () => {
  await driver.stop();
  origin.close();
});

const fetchFrom = (url: string, init: Record<string, unknown> = {}): Promise<Answer> =>
  call(tenant, '/', { method: 'POST', body: new TextEncoder().encode(JSON.stringify({ url, init })) });

test('reaches what the manifest names', async () => {
  const { outcome, body } = await fetchFrom('http://api.example.com/a?b', { method: 'PUT', body: 'x'.repeat(300_000) });
  expect(outcome.status).toBe('ok');
  expect(JSON.parse(body.toString())).toEqual({ method: 'PUT', url: '/a?b', size: 300_000 });
});

test('follows a redirect through the gate, hop by hop', async () => {
  const { headers, outcome } = await fetchFrom('http://api.example.com/here');
  expect(outcome.status).toBe('ok');
  expect(headers.get('x-url')).toBe('http://api.example.com/there');
  expect((await fetchFrom('http://api.example.com/inside')).outcome).toMatchObject({
    status: 'refused',
    refusedHosts: ['http://127.0.0.1'],
  });
  expect((await fetchFrom('http://api.example.com/elsewhere')).outcome).toMatchObject({
    status: 'refused',
    refusedHosts: ['other.example.com'],
  });
});

test.each(['inner', 'mixed'])('a name that leads inside is refused: %s', async (name) => {
  const { outcome } = await fetchFrom(`http://${name}.example.com/`);
  expect(outcome).toMatchObject({ status: 'refused', refusedHosts: [`http://${name}.example.com`] });
  expect(outcome.message).toContain('outside the public Internet');
});

test('a name that leads elsewhere the second time is refused then', async () => {
  expect((await fetchFrom('http://rebinding.example.com/')).outcome.status).toBe('ok');
  expect((await fetchFrom('http://rebinding.example.com/')).outcome.status).toBe('refused');
});

test('a name that leads nowhere is an app error, not a refusal', async () => {
  const answer = await fetchFrom('http://gone.example.com/');
  expect(answer.outcome.status).toBe('refused');
  expect((await fetchFrom('http://nowhere.example.com/')).outcome.status).not.toBe('ok');
});

test('opens no WebSocket to the outside', async () => {
  const webSocket = handler(
    'const s = new WebSocket("ws://api.example.com/"); return new Promise((yes, no) => { s.addEventListener("open", () => yes(new Response("open"))); s.addEventListener("error", (e) => no(new Error("closed"))); });',
  );
  const other = await driver.open(functionWorkload(webSocket, { outboundHosts: ['http://api.example.com'] }), {
    signal: never,
  });
  expect((await call(other, '/')).outcome.status).not.toBe('ok');
  await other.close();
});
