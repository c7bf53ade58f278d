import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import { syncBuiltinESMExports } from 'node:module';
import { type AddressInfo, connect, type Socket } from 'node:net';
import os, { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { serverNameIn } from '../src/gate/clientHello.ts';
import { EgressGate, type GateOptions } from '../src/gate/egressGate.ts';
import { parseHostRule } from '../src/gate/hostRule.ts';
import { unsafeLoopbackDialler } from '../src/unsafe-testing.ts';

const directory = mkdtempSync(join(tmpdir(), 'cloister-tunnel-'));
const gates: EgressGate[] = [];
let origin: Server;
let ca: string;
let dialled = 0;
/** Bytes of bodies that the origin has got. */
let taken = 0;

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
    request.on('data', (chunk: Buffer) => {
      taken += chunk.length;
    });
    if (request.url === '/take') return request.once('end', () => response.end('taken'));
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

type TestGate = { readonly path: string; readonly refused: string[]; readonly gate: EgressGate };

/** A gate that opens tunnels to these hosts alone, by default api.example.com, and what it refused. */
async function gateFor({
  addresses = ['93.184.216.34'],
  hosts = ['api.example.com'],
  Gate = EgressGate,
  ...options
}: GateOptions & { addresses?: string[]; hosts?: string[]; Gate?: typeof EgressGate } = {}): Promise<TestGate> {
  const path = join(directory, `${Math.random()}.sock`);
  const refused: string[] = [];
  const { port } = origin.address() as AddressInfo;
  const routes = { 'api.example.com:443': port, 'other.example.com:443': port, '93.184.216.34:443': port };
  const loopback = unsafeLoopbackDialler({ evidence: 'simulated', routes });
  const gate = new Gate({
    tunnels: true,
    resolver: async () => addresses,
    dialler: (target, given) => {
      dialled += 1;
      return loopback(target, given);
    },
    ...options,
  });
  gate.allow(hosts.map(parseHostRule), (host) => refused.push(host));
  await gate.listen(path);
  gates.push(gate);
  return { path, refused, gate };
}

/** A gate as on a machine whose interfaces have these addresses. */
async function gateOfMachineWith(addresses: readonly string[]): Promise<typeof EgressGate> {
  const { networkInterfaces } = os;
  os.networkInterfaces = () => ({ eth0: addresses.map((address) => ({ address }) as os.NetworkInterfaceInfo) });
  syncBuiltinESMExports();
  try {
    // What they are is known for a while: a module that has not looked yet.
    vi.resetModules();
    const { isOwnAddress } = await import('../src/gate/ownAddress.ts');
    isOwnAddress('');
    return (await import('../src/gate/egressGate.ts')).EgressGate;
  } finally {
    os.networkInterfaces = networkInterfaces;
    syncBuiltinESMExports();
  }
}

/** Asks for a tunnel; the socket, the answer, and its status line. */
async function ask(path: string, place: string): Promise<{ socket: Socket; status: string; head: Buffer }> {
  const socket = connect(path);
  socket.on('error', () => {});
  socket.write(`CONNECT ${place} HTTP/1.1\r\nhost: ${place}\r\n\r\n`);
  const head = await new Promise<Buffer>((resolve) => socket.once('data', resolve));
  return { socket, head, status: head.toString('latin1').split('\r\n')[0] ?? '' };
}

/** One request by TLS inside the tunnel. */
function requestInside(socket: Socket, servername: string, path = '/', body = Buffer.alloc(0)): Promise<string> {
  return new Promise((resolve, reject) => {
    const tls = connectTls({ socket, servername, ca }, () => {
      const head = `POST ${path} HTTP/1.1\r\nhost: ${servername}\r\nconnection: close\r\n`;
      tls.write(Buffer.concat([Buffer.from(`${head}content-length: ${body.length}\r\n\r\n`), body]));
    });
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

  test('carries so many bytes and no more, either way', async () => {
    const limits = { requestBytes: 100_000, responseBytes: 100_000 };
    const { path, gate } = await gateFor({ limits });
    const { socket } = await ask(path, 'api.example.com:443');
    const said = await requestInside(socket, 'api.example.com', '/flood').catch(() => '');
    expect(said.length).toBeLessThan(100_000);
    expect(gate.passedBytes).toBeGreaterThan(50_000);
    expect(gate.passedBytes).toBeLessThan(200_000);

    const before = [gate.passedBytes, taken];
    const other = await ask(path, 'api.example.com:443');
    await expect(requestInside(other.socket, 'api.example.com', '/take', Buffer.alloc(5_000_000))).rejects.toThrow();
    expect(taken - (before[1] ?? 0)).toBeLessThan(100_000);
    expect(gate.passedBytes - (before[0] ?? 0)).toBeLessThan(200_000);
  });

  test('is counted to the byte, both ways, whatever is inside', async () => {
    const { path, gate } = await gateFor();
    const { socket, head } = await ask(path, 'api.example.com:443');
    const asked = socket.bytesWritten;
    await requestInside(socket, 'api.example.com', '/take', Buffer.alloc(300_000));
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.end();
    await closed;
    const inside = { up: socket.bytesWritten - asked, down: socket.bytesRead - head.length };
    expect(inside.up).toBeGreaterThan(300_000);
    expect(inside.down).toBeGreaterThan(500);
    // The origin may have closed before it took the last words of TLS.
    const unread = inside.up + inside.down - gate.passedBytes;
    expect(unread).toBeGreaterThanOrEqual(0);
    expect(unread).toBeLessThan(100);
  });

  test('that is refused, at once or for what is said in it, has passed nothing', async () => {
    const { path, gate } = await gateFor();
    await ask(path, 'other.example.com:443');
    const { socket } = await ask(path, 'api.example.com:443');
    await requestInside(socket, 'other.example.com').catch(() => '');
    const plain = await ask(path, 'api.example.com:443');
    plain.socket.write(`GET / HTTP/1.1\r\nhost: api.example.com\r\n\r\n${'x'.repeat(100_000)}`);
    await new Promise((resolve) => plain.socket.once('close', resolve));
    expect(gate.passedBytes).toBe(0);
  });

  test.each<[string, Buffer[]]>([
    ['a first message that never ends', [Buffer.from([22, 3, 1, 0x40, 0]), Buffer.alloc(0x4000, 1)]],
    [
      'records of one byte each',
      [Buffer.concat(Array.from({ length: 20_000 }, () => Buffer.from([22, 3, 1, 0, 1, 1])))],
    ],
  ])('is closed for %s, and waits for no more of it', async (_, pieces) => {
    const { path, refused, gate } = await gateFor();
    const { socket } = await ask(path, 'api.example.com:443');
    for (const piece of pieces) socket.write(piece);
    await new Promise((resolve) => socket.once('close', resolve));
    expect([refused, gate.passedBytes]).toEqual([['api.example.com:443'], 0]);
  });

  test('in which nothing is said ends with its time', async () => {
    const { path, gate } = await gateFor({ limits: { timeMs: 150 } });
    const { socket } = await ask(path, 'api.example.com:443');
    socket.write(Buffer.from([22, 3, 1]));
    await new Promise((resolve) => socket.once('close', resolve));
    expect(gate.passedBytes).toBe(0);
  });

  test.each([
    ['a tunnel', true, 'CONNECT other.example.com:443 HTTP/1.1'],
    ['a tunnel to where there is none', false, 'CONNECT api.example.com:443 HTTP/1.1'],
    ['a tunnel that is opened', true, 'CONNECT api.example.com:443 HTTP/1.1'],
    ['a WebSocket', true, 'GET https://api.example.com/ HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket'],
  ])('is asked for by whoever has gone before the answer, %s: nobody else notices', async (_, tunnels, head) => {
    const { path, refused } = await gateFor({ tunnels });
    // An error of a connection that nobody hears would end this process.
    const unheard = vi.fn();
    process.on('uncaughtException', unheard);
    for (let count = 0; count < 20; count += 1) {
      const socket = connect(path);
      socket.write(`${head}\r\nhost: api.example.com\r\n\r\n`, () => socket.destroy());
      await new Promise((resolve) => socket.once('close', resolve));
    }
    expect((await ask(path, 'other.example.com:443')).status).toBe('HTTP/1.1 403 Forbidden');
    process.off('uncaughtException', unheard);
    expect(unheard).not.toHaveBeenCalled();
    expect(refused.length).toBeGreaterThan(0);
  });

  test('that was refused is closed, though its caller keeps it open', async () => {
    const { path } = await gateFor({ limits: { connections: 2 } });
    for (let count = 0; count < 5; count += 1) {
      const socket = connect({ path, allowHalfOpen: true });
      socket.write('CONNECT other.example.com:443 HTTP/1.1\r\n\r\n');
      socket.resume();
      await new Promise((resolve) => socket.once('end', resolve));
    }
    expect((await ask(path, 'api.example.com:443')).status).toBe('HTTP/1.1 200 Connection established');
  });

  test('ends with its gate', async () => {
    const { path, gate } = await gateFor();
    const { socket } = await ask(path, 'api.example.com:443');
    const closed = new Promise((resolve) => socket.once('close', resolve));
    await gate.close();
    await closed;
    gates.pop();
  });

  describe('to the worker itself', () => {
    const own = '93.184.216.34';
    const own6 = '2606:2800:220:1:248:1893:25c8:1946';

    test.each([
      ['by name', 'api.example.com:443', [own]],
      ['by one of several addresses', 'api.example.com:443', ['93.184.216.35', own]],
      ['by its address', `${own}:443`, []],
      ['by IPv6', 'api.example.com:443', [own6]],
      ['by IPv6 in other words', 'api.example.com:443', ['2606:2800:0220:0001:0248:1893:25C8:1946']],
      ['by IPv6 as an address', `[${own6}]:443`, []],
      ['by IPv4 in IPv6', 'api.example.com:443', [`::ffff:${own}`]],
    ])('is refused %s, where its interfaces have that address', async (_, place, addresses) => {
      const before = dialled;
      const { path, refused, gate } = await gateFor({
        addresses,
        hosts: ['api.example.com', own, `[${own6}]`],
        Gate: await gateOfMachineWith([own, own6]),
      });
      expect((await ask(path, place)).status).toBe('HTTP/1.1 403 Forbidden');
      expect([refused.length, dialled, gate.passedBytes]).toEqual([1, before, 0]);
    });

    test('is open where they have another', async () => {
      const { path } = await gateFor({ Gate: await gateOfMachineWith(['93.184.216.35']), hosts: [own] });
      expect((await ask(path, `${own}:443`)).status).toBe('HTTP/1.1 200 Connection established');
    });
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
