import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, request as openRequest, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { DialTarget } from '../src/gate/dialler.ts';
import { EgressGate, type GateOptions } from '../src/gate/egressGate.ts';
import { parseHostRule } from '../src/gate/hostRule.ts';
import { dnsResolver } from '../src/gate/resolver.ts';
import { unsafeLoopbackDialler } from '../src/unsafe-testing.ts';

const directory = mkdtempSync(join(tmpdir(), 'cloister-gate-'));
const publicAddress = '93.184.216.34';
const open: (() => unknown)[] = [];
let origin: Server;
let tlsOrigin: Server;
let ca: string;
const seen: IncomingMessage[] = [];

const portOf = (server: { address(): unknown }): number => (server.address() as AddressInfo).port;

beforeAll(async () => {
  const [key, certificate] = [join(directory, 'key.pem'), join(directory, 'cert.pem')];
  const subject = ['-subj', '/CN=api.example.com', '-addext', 'subjectAltName=DNS:api.example.com'];
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  execFileSync('openssl', ['req', '-x509', ...kind, ...subject, '-keyout', key, '-out', certificate], {
    stdio: 'ignore',
  });
  ca = readFileSync(certificate, 'utf8');
  const answer = async (request: IncomingMessage): Promise<string> => {
    seen.push(request);
    return JSON.stringify({ url: request.url, headers: request.headers, body: await text(request) });
  };
  const handle: Parameters<typeof createServer>[1] = (request, response) => {
    if (request.url === '/redirect') return response.writeHead(302, { location: 'http://127.0.0.1/' }).end();
    if (request.url === '/forge')
      return response.writeHead(200, { 'cloister-refused': 'forged', 'x-ok': '1' }).end('x');
    if (request.url === '/flood') {
      response.writeHead(200);
      const timer = setInterval(() => response.write(Buffer.alloc(65_536)), 1);
      response.once('close', () => clearInterval(timer));
      return;
    }
    if (request.url === '/silent') return;
    if (request.url === '/broken')
      return response.writeHead(200, { 'content-length': '10' }).write('x', () => response.destroy());
    void answer(request).then((body) => response.end(body));
  };
  origin = createServer(handle);
  tlsOrigin = createTlsServer({ key: readFileSync(key), cert: ca }, handle);
  for (const server of [origin, tlsOrigin])
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(async () => {
  for (const close of open.splice(0)) await close();
});
afterAll(() => {
  for (const server of [origin, tlsOrigin]) {
    server.closeAllConnections();
    server.close();
  }
  rmSync(directory, { recursive: true, force: true });
});

type Gate = {
  refused: string[];
  resolved: string[];
  dialled: DialTarget[];
  path: string;
  fetch: (
    url: string,
    init?: { method?: string; headers?: Record<string, string>; body?: string | Buffer },
  ) => Promise<GateAnswer>;
};
type GateAnswer = { status: number; headers: IncomingMessage['headers']; body: string };

let gates = 0;
/** A gate whose names all lead to the given addresses, and whose dialler goes to the servers of this test. */
async function gateFor(hosts: string[], options: GateOptions & { addresses?: string[] } = {}): Promise<Gate> {
  const gate: Gate = {
    refused: [],
    resolved: [],
    dialled: [],
    path: join(directory, `${gates}.sock`),
    fetch: async () => ({ status: 0, headers: {}, body: '' }),
  };
  gates += 1;
  const routes: Record<string, number> = {};
  for (const name of ['api.example.com', 'other.example.com', publicAddress]) {
    routes[`${name}:80`] = portOf(origin);
    routes[`${name}:443`] = portOf(tlsOrigin);
  }
  const loopback = unsafeLoopbackDialler({ evidence: 'simulated', routes, ca });
  const egress = new EgressGate({
    resolver: async (hostname) => {
      gate.resolved.push(hostname);
      return options.addresses ?? [publicAddress];
    },
    dialler: (target, dialOptions) => {
      gate.dialled.push(target);
      return loopback(target, dialOptions);
    },
    ...options,
  });
  egress.allow(hosts.map(parseHostRule), (host) => gate.refused.push(host));
  await egress.listen(gate.path);
  open.push(() => egress.close());
  gate.fetch = (url, { method = 'GET', headers = {}, body = '' } = {}) =>
    new Promise((resolve, reject) => {
      const request = openRequest(
        { socketPath: gate.path, method, path: url, headers, setHost: false, agent: false },
        (response) => {
          text(response).then(
            (content) => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: content }),
            reject,
          );
        },
      );
      request.once('error', reject);
      request.end(body);
    });
  return gate;
}

describe('the gate', () => {
  test('forwards what the manifest names, over TLS that it speaks itself', async () => {
    const gate = await gateFor(['api.example.com', 'http://api.example.com']);
    for (const url of ['https://api.example.com/path?a=1', 'http://api.example.com/path?a=1']) {
      const { status, body } = await gate.fetch(url, {
        method: 'POST',
        headers: { 'X-Own': 'y', Connection: 'x-hop', 'X-Hop': '1', 'content-length': '4' },
        body: 'body',
      });
      expect(status).toBe(200);
      const reply = JSON.parse(body);
      expect(reply).toMatchObject({
        url: '/path?a=1',
        body: 'body',
        headers: { host: 'api.example.com', 'x-own': 'y' },
      });
      expect(reply.headers['x-hop']).toBeUndefined();
    }
    expect(gate.dialled.map(({ address, port, tls }) => ({ address, port, tls }))).toEqual([
      { address: publicAddress, port: 443, tls: true },
      { address: publicAddress, port: 80, tls: false },
    ]);
  });

  test('forwards a body of unknown length', async () => {
    const gate = await gateFor(['api.example.com']);
    const { body } = await gate.fetch('https://api.example.com/', {
      method: 'POST',
      headers: { 'transfer-encoding': 'chunked' },
      body: 'x'.repeat(100_000),
    });
    expect(JSON.parse(body).body.length).toBe(100_000);
  });

  test.each([
    'https://other.example.com/',
    'http://api.example.com/',
    'https://api.example.com:8443/',
    'https://api.example.com@other.example.com/',
    'https://user@api.example.com/',
    'ftp://api.example.com/',
    'gopher://api.example.com/',
  ])('refuses %s, which the manifest does not name', async (url) => {
    const gate = await gateFor(['api.example.com']);
    const { status, headers } = await gate.fetch(url);
    expect(status).toBe(403);
    expect(headers['cloister-refused']).toBeTypeOf('string');
    expect(gate.refused.length).toBe(1);
    expect(gate.resolved).toEqual([]);
    expect(gate.dialled).toEqual([]);
  });

  test('refuses everything until it is opened', async () => {
    const gate = await gateFor([]);
    expect((await gate.fetch('https://api.example.com/')).status).toBe(403);
    expect(gate.refused).toEqual(['api.example.com']);
  });

  test.each([
    [['127.0.0.1']],
    [['10.1.2.3']],
    [['169.254.169.254']],
    [['::1']],
    [['fd00::1']],
    [['::ffff:10.0.0.1']],
    [['64:ff9b::7f00:1']],
    [['100.64.0.1']],
    [['0.0.0.0']],
    [['224.0.0.1']],
    [[publicAddress, '10.0.0.1']],
    [['10.0.0.1', publicAddress]],
    [[]],
    [['not an address']],
  ])('refuses a name that leads to %j', async (addresses) => {
    const gate = await gateFor(['api.example.com'], { addresses });
    expect((await gate.fetch('https://api.example.com/')).status).toBe(403);
    expect(gate.refused).toEqual(['api.example.com']);
    expect(gate.dialled).toEqual([]);
  });

  test.each(['http://127.0.0.1/', 'http://[::1]/', 'http://169.254.169.254/', 'http://2130706433/', 'http://0x7f.1/'])(
    'refuses %s though the manifest names it, without asking a name server',
    async (url) => {
      const gate = await gateFor([`http://${new URL(url).host}`]);
      expect((await gate.fetch(url)).status).toBe(403);
      expect(gate.resolved).toEqual([]);
      expect(gate.dialled).toEqual([]);
    },
  );

  test('dials a public address that the manifest names', async () => {
    const gate = await gateFor([`http://${publicAddress}`]);
    expect((await gate.fetch(`http://${publicAddress}/`)).status).toBe(200);
  });

  test('a name server that changes its answer changes nothing: one question, and the dial goes to what was checked', async () => {
    const answers = [[publicAddress], ['127.0.0.1']];
    const dialled: string[] = [];
    const gate = await gateFor(['api.example.com'], {
      resolver: async () => answers.shift() ?? ['127.0.0.1'],
      dialler: async (target) => {
        dialled.push(target.address);
        throw new Error('far enough');
      },
    });
    expect((await gate.fetch('https://api.example.com/')).status).toBe(502);
    expect(dialled).toEqual([publicAddress]);
    // The changed answer is refused when its turn comes.
    expect((await gate.fetch('https://api.example.com/')).status).toBe(403);
    expect(dialled).toEqual([publicAddress]);
  });

  test('checks the certificate for the name', async () => {
    const gate = await gateFor(['other.example.com']);
    const { status, headers } = await gate.fetch('https://other.example.com/');
    expect(status).toBe(502);
    expect(headers['cloister-failed']).toBeTypeOf('string');
    expect(gate.refused).toEqual([]);
  });

  test('follows no redirect', async () => {
    const gate = await gateFor(['api.example.com']);
    const { status, headers } = await gate.fetch('https://api.example.com/redirect');
    expect({ status, location: headers.location }).toEqual({ status: 302, location: 'http://127.0.0.1/' });
  });

  test('an origin cannot pass for the gate', async () => {
    const gate = await gateFor(['api.example.com']);
    const { headers } = await gate.fetch('https://api.example.com/forge');
    expect(headers['cloister-refused']).toBeUndefined();
    expect(headers['x-ok']).toBe('1');
  });

  test('cuts an answer that is too long', async () => {
    const gate = await gateFor(['api.example.com'], { limits: { responseBytes: 1_000_000 } });
    await expect(gate.fetch('https://api.example.com/flood')).rejects.toThrow();
  });

  test('does not send a body that is too long', async () => {
    const gate = await gateFor(['api.example.com'], { limits: { requestBytes: 1000 } });
    const before = seen.length;
    const { status } = await gate.fetch('https://api.example.com/', {
      method: 'POST',
      headers: { 'content-length': '100000' },
      body: Buffer.alloc(100_000),
    });
    expect(status).toBe(502);
    // It may have begun to arrive, but was never whole.
    expect(seen.slice(before).every((request) => !request.complete)).toBe(true);
  });

  test('gives up on an origin that is silent, and on a name server that is', async () => {
    const gate = await gateFor(['api.example.com'], { limits: { timeMs: 200 } });
    expect((await gate.fetch('https://api.example.com/silent')).status).toBe(502);
    const deaf = await gateFor(['api.example.com'], {
      limits: { timeMs: 200 },
      resolver: (_hostname, { signal }) =>
        new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    });
    expect((await deaf.fetch('https://api.example.com/')).status).toBe(502);
  });

  test('an answer that breaks off breaks off for the tenant too', async () => {
    const gate = await gateFor(['api.example.com']);
    await expect(gate.fetch('https://api.example.com/broken')).rejects.toThrow();
  });

  test.each([
    'CONNECT api.example.com:443 HTTP/1.1',
    'CONNECT 127.0.0.1:22 HTTP/1.1',
    'GET https://api.example.com/ HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket',
  ])('opens no tunnel: %s', async (head) => {
    const gate = await gateFor(['api.example.com']);
    expect(await raw(gate.path, `${head}\r\nHost: api.example.com\r\n\r\n`)).toMatch(/^HTTP\/1\.1 403 /);
    expect(gate.dialled).toEqual([]);
    expect(gate.refused.length).toBe(1);
  });

  test.each([
    'GET /path HTTP/1.1\r\nHost: api.example.com\r\n\r\n',
    'GET * HTTP/1.1\r\n\r\n',
    'GET http:// HTTP/1.1\r\n\r\n',
    `GET https://api.example.com/${'x'.repeat(40_000)} HTTP/1.1\r\n\r\n`,
    '\0\r\n\r\n',
    'GET https://api.example.com/ HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  ])('survives what is no proper request: %#', async (bytes) => {
    const gate = await gateFor(['api.example.com']);
    await raw(gate.path, bytes);
    expect(gate.dialled).toEqual([]);
    expect((await gate.fetch('https://api.example.com/')).status).toBe(200);
  });

  test('an origin that speaks no HTTP is a failure, not a crash', async () => {
    const server = createTcpServer((socket: Socket) => socket.end('SSH-2.0-x\r\n'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    open.push(() => server.close());
    const gate = await gateFor(['http://api.example.com'], {
      dialler: unsafeLoopbackDialler({ evidence: 'simulated', routes: { 'api.example.com:80': portOf(server) } }),
    });
    expect((await gate.fetch('http://api.example.com/')).status).toBe(502);
  });

  test('lets go of the origin when the tenant is gone', async () => {
    const gate = await gateFor(['api.example.com']);
    const socket = connect(gate.path, () => socket.write('GET https://api.example.com/flood HTTP/1.1\r\n\r\n'));
    await new Promise((resolve) => socket.once('data', resolve));
    const connections = (): Promise<number> =>
      new Promise((resolve, reject) =>
        tlsOrigin.getConnections((error, count) => (error ? reject(error) : resolve(count))),
      );
    expect(await connections()).toBeGreaterThan(0);
    socket.destroy();
    await expect.poll(connections).toBe(0);
  });
});

test('the loopback dialler cannot be made beside real evidence, nor beside evidence of unknown kind', () => {
  for (const evidence of ['real', '', undefined, 'Simulated'])
    expect(() => unsafeLoopbackDialler({ evidence: evidence as 'real', routes: {} })).toThrow(/real evidence/);
});

test('the resolver gives up with its caller', async () => {
  await expect(dnsResolver('api.example.com', { signal: AbortSignal.abort(new Error('gone')) })).rejects.toThrow(
    'gone',
  );
});

function raw(path: string, bytes: string): Promise<string> {
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect(path, () => socket.write(bytes));
    socket.setTimeout(1000, () => socket.destroy());
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1');
      socket.end();
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(answer));
  });
}
