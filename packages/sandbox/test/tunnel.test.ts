import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { serverNameIn } from '../src/gate/clientHello.ts';
import { EgressGate, type GateOptions } from '../src/gate/egressGate.ts';
import { parseHostRule } from '../src/gate/hostRule.ts';
import { unsafeLoopbackDialler } from '../src/unsafe-testing.ts';

const directory = mkdtempSync(join(tmpdir(), 'cloister-tunnel-'));
const gates: EgressGate[] = [];
let origin: Server;
let ca: string;
let dialled = 0;

beforeAll(async () => {
  const [key, certificate] = [join(directory, 'key.pem'), join(directory, 'cert.pem')];
  const subject = ['-subj', '/CN=api.example.com', '-addext', 'subjectAltName=DNS:*.example.com'];
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  execFileSync('openssl', ['req', '-x509', ...kind, ...subject, '-keyout', key, '-out', certificate], {
    stdio: 'ignore',
  });
  ca = readFileSync(certificate, 'utf8');
  origin = createServer({ key: readFileSync(key), cert: ca }, (request, response) => {
    if (request.url === '/flood') return response.end(Buffer.alloc(5_000_000));
    response.end(`hello ${request.headers.host}`);
  });
  await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', resolve));
});
afterEach(async () => {
  for (const gate of gates.splice(0)) await gate.close();
});
afterAll(() => {
  origin.closeAllConnections();
  origin.close();
  rmSync(directory, { recursive: true, force: true });
});

/** A gate that opens tunnels to api.example.com alone, and what it refused. */
async function gateFor(
  options: GateOptions & { addresses?: string[] } = {},
): Promise<{ path: string; refused: string[] }> {
  const path = join(directory, `${Math.random()}.sock`);
  const refused: string[] = [];
  const { port } = origin.address() as AddressInfo;
  const routes = { 'api.example.com:443': port, 'other.example.com:443': port };
  const loopback = unsafeLoopbackDialler({ evidence: 'simulated', routes });
  const gate = new EgressGate({
    tunnels: true,
    resolver: async () => options.addresses ?? ['93.184.216.34'],
    dialler: (target, given) => {
      dialled += 1;
      return loopback(target, given);
    },
    ...options,
  });
  gate.allow(['api.example.com'].map(parseHostRule), (host) => refused.push(host));
  await gate.listen(path);
  gates.push(gate);
  return { path, refused };
}

/** Asks for a tunnel; the socket, and the status line of the answer. */
async function ask(path: string, place: string): Promise<{ socket: Socket; status: string }> {
  const socket = connect(path);
  socket.on('error', () => {});
  socket.write(`CONNECT ${place} HTTP/1.1\r\nhost: ${place}\r\n\r\n`);
  const head = await new Promise<Buffer>((resolve) => socket.once('data', resolve));
  return { socket, status: head.toString('latin1').split('\r\n')[0] ?? '' };
}

/** One request by TLS inside the tunnel. */
function requestInside(socket: Socket, servername: string, path = '/'): Promise<string> {
  return new Promise((resolve, reject) => {
    const tls = connectTls({ socket, servername, ca }, () =>
      tls.write(`GET ${path} HTTP/1.1\r\nhost: ${servername}\r\nconnection: close\r\n\r\n`),
    );
    let said = '';
    tls.on('data', (chunk: Buffer) => {
      said += chunk.toString('latin1');
    });
    tls.once('end', () => resolve(said)).once('error', reject);
    tls.once('close', () => reject(new Error('closed')));
  });
}

describe('a tunnel', () => {
  test('leads to a host that may be reached, whose certificate the program sees itself', async () => {
    const { path, refused } = await gateFor();
    const { socket, status } = await ask(path, 'api.example.com:443');
    expect(status).toBe('HTTP/1.1 200 Connection established');
    expect(await requestInside(socket, 'api.example.com')).toContain('hello api.example.com');
    expect(refused).toEqual([]);
  });

  test.each([
    ['another host', 'other.example.com:443', 'other.example.com'],
    ['another port', 'api.example.com:22', 'api.example.com:22'],
    ['plain HTTP of the same host', 'api.example.com:80', 'api.example.com:80'],
    ['an address', '127.0.0.1:443', '127.0.0.1'],
    ['nonsense', 'user@api.example.com:443', 'user@api.example.com:443'],
  ])('is refused to %s', async (_, place, named) => {
    const { path, refused } = await gateFor();
    const before = dialled;
    expect((await ask(path, place)).status).toBe('HTTP/1.1 403 Forbidden');
    expect([refused, dialled]).toEqual([[named], before]);
  });

  test.each([[['10.0.0.1']], [['93.184.216.34', '169.254.169.254']], [[]]])(
    'is refused where the name leads to %s',
    async (addresses) => {
      const { path, refused } = await gateFor({ addresses });
      expect((await ask(path, 'api.example.com:443')).status).toBe('HTTP/1.1 403 Forbidden');
      expect(refused).toEqual(['api.example.com']);
    },
  );

  test('to one host behind an address is none to its neighbours', async () => {
    const { path, refused } = await gateFor();
    const { socket } = await ask(path, 'api.example.com:443');
    expect(await requestInside(socket, 'other.example.com').catch(() => '')).toBe('');
    expect(refused).toEqual(['api.example.com:443']);
  });

  test('is for TLS alone', async () => {
    const { path, refused } = await gateFor();
    const { socket } = await ask(path, 'api.example.com:443');
    socket.write('SSH-2.0-OpenSSH_9.2\r\n');
    await new Promise((resolve) => socket.once('close', resolve));
    expect(refused).toEqual(['api.example.com:443']);
  });

  test('carries so many bytes and no more', async () => {
    const { path } = await gateFor({ limits: { responseBytes: 100_000 } });
    const { socket } = await ask(path, 'api.example.com:443');
    const said = await requestInside(socket, 'api.example.com', '/flood').catch(() => '');
    expect(said.length).toBeLessThan(100_000);
  });

  test('does not exist where it is not asked for', async () => {
    const { path } = await gateFor({ tunnels: false });
    expect((await ask(path, 'api.example.com:443')).status).toBe('HTTP/1.1 403 Forbidden');
  });
});

describe('the first message of TLS', () => {
  /** What Node.js sends first to a server of that name. */
  async function helloFor(servername: string | undefined): Promise<Buffer> {
    const { Duplex } = await import('node:stream');
    return new Promise((resolve) => {
      const socket = new Duplex({ read() {}, write: (chunk: Buffer) => resolve(chunk) });
      connectTls({ socket, ...(servername === undefined ? {} : { servername }) }).on('error', () => {});
    });
  }

  test('names the host, however it is cut', async () => {
    const hello = await helloFor('api.example.com');
    expect(serverNameIn(hello)).toBe('api.example.com');
    for (let length = 0; length < hello.length; length += 1)
      expect(serverNameIn(hello.subarray(0, length))).toBe('more');
    const message = hello.subarray(5);
    const records = [message.subarray(0, 3), message.subarray(3, 100), message.subarray(100)].map((part) =>
      Buffer.concat([Buffer.from([22, 3, 1, part.length >> 8, part.length & 0xff]), part]),
    );
    expect(serverNameIn(Buffer.concat(records))).toBe('api.example.com');
  });

  test('may name none, or be no such message', async () => {
    expect(serverNameIn(await helloFor(undefined))).toBeUndefined();
    expect(serverNameIn(Buffer.from('GET / HTTP/1.1\r\n'))).toBeUndefined();
    const hello = await helloFor('api.example.com');
    // Whatever is in it, it is read or refused, and never throws.
    for (let at = 0; at < hello.length; at += 1) {
      const changed = Buffer.from(hello);
      changed[at] = (changed[at] ?? 0) ^ 0xff;
      expect(['string', 'undefined']).toContain(typeof serverNameIn(changed));
    }
  });
});
