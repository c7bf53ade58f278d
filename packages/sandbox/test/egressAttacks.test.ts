import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, request as openRequest } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { connect as connectTls } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { EgressGate, type GateOptions, refusedHeader } from '../src/gate/egressGate.ts';
import { parseHostRule } from '../src/gate/hostRule.ts';
import { isOwnAddress } from '../src/gate/ownAddress.ts';
import { resolverOf } from '../src/gate/resolver.ts';
import { unsafeLoopbackDialler } from '../src/unsafe-testing.ts';
import { type NameRecords, type NameServer, startNameServer } from './nameServer.ts';

/** The gate with a real name server behind it, which lies as it likes, and origins that are not who they should be. */
const directory = mkdtempSync(join(tmpdir(), 'cloister-egress-'));
const publicAddress = '93.184.216.34';
const names = new Map<string, NameRecords>();
const closing: (() => unknown)[] = [];
let nameServer: NameServer;
beforeAll(async () => {
  nameServer = await startNameServer((name) => names.get(name));
});
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
  names.clear();
  nameServer.asked.length = 0;
});
afterAll(() => {
  nameServer.close();
  rmSync(directory, { recursive: true, force: true });
});

type Answered = { status: number; headers: IncomingMessage['headers']; body: string };
let gates = 0;
let lastPort = 0;

async function gateFor(hosts: string[], options: GateOptions = {}) {
  const refused: string[] = [];
  const dialled: string[] = [];
  const gate = new EgressGate({
    resolver: resolverOf([nameServer.address]),
    dialler: async ({ address }) => {
      dialled.push(address);
      throw new Error('far enough');
    },
    ...options,
  });
  gate.allow(hosts.map(parseHostRule), (host) => refused.push(host));
  gates += 1;
  const socketPath = join(directory, `${gates}.sock`);
  await gate.listen(socketPath);
  closing.push(() => gate.close());
  const fetch = (url: string, { method = 'GET', body = '' } = {}): Promise<Answered> =>
    new Promise((resolve, reject) => {
      const request = openRequest({ socketPath, method, path: url, setHost: false, agent: false }, (response) => {
        const { statusCode: status = 0, headers } = response;
        text(response).then((content) => resolve({ status, headers, body: content }), reject);
      });
      request.once('error', reject);
      request.end(body);
    });
  return { gate, refused, dialled, fetch };
}

describe('names that lead inside', () => {
  test.each<[string, NameRecords]>([
    ['a private address', { addresses: ['10.0.0.1'] }],
    ['loopback', { addresses: ['127.0.0.1'] }],
    ['the metadata service of clouds', { addresses: ['169.254.169.254'] }],
    ['an alias of a private one', { alias: 'inner.example.com' }],
    ['an alias of an alias of a private one', { alias: 'middle.example.com' }],
    ['a public address and, by IPv6, loopback', { addresses: [publicAddress, '::1'] }],
    ['a private address mapped into IPv6', { addresses: ['::ffff:10.0.0.1'] }],
    ['a public address mapped into IPv6', { addresses: ['::ffff:93.184.216.34'] }],
    ['a private address behind NAT64', { addresses: ['64:ff9b::a00:1'] }],
    ['one behind a local NAT64', { addresses: ['64:ff9b:1::a00:1'] }],
    ['one inside 6to4', { addresses: ['2002:a00:1::1'] }],
    ['one inside Teredo', { addresses: ['2001:0:a00:1::1'] }],
    ['a unique local address', { addresses: ['fd00:ec2::254'] }],
    ['a link-local one', { addresses: ['fe80::1'] }],
    ['the address that stands for none', { addresses: ['0.0.0.0', '::'] }],
    ['many public ones and a private one at the end', { addresses: [...publicOnes(20), '192.168.1.1'] }],
  ])('%s: refused, not dialled', async (_what, records) => {
    names.set('api.example.com', records);
    names.set('middle.example.com', { alias: 'inner.example.com' });
    names.set('inner.example.com', { addresses: ['10.1.2.3'] });
    const { fetch, refused, dialled } = await gateFor(['api.example.com']);
    const { status, headers } = await fetch('https://api.example.com/');
    expect(status).toBe(403);
    expect(headers[refusedHeader]).toContain('outside the public Internet');
    expect({ refused, dialled }).toEqual({ refused: ['api.example.com'], dialled: [] });
  });

  test('an alias of a public name is dialled at the address that was checked', async () => {
    names.set('api.example.com', { alias: 'cdn.example.net' });
    names.set('cdn.example.net', { addresses: [publicAddress] });
    const { fetch, dialled } = await gateFor(['api.example.com']);
    expect((await fetch('https://api.example.com/')).status).toBe(502);
    expect(dialled).toEqual([publicAddress]);
  });

  test('what the alias stands for is not named thereby', async () => {
    names.set('cdn.example.net', { addresses: [publicAddress] });
    const { fetch, dialled } = await gateFor(['api.example.com']);
    expect((await fetch('https://cdn.example.net/')).status).toBe(403);
    expect(dialled).toEqual([]);
  });

  test('a server that changes its answer after every question is asked once for a request', async () => {
    const answers = [[publicAddress], ['127.0.0.1'], [publicAddress]];
    const server = await startNameServer(() => ({
      addresses: answers[Math.floor((server.asked.length - 1) / 2)] ?? [],
    }));
    closing.push(() => server.close());
    const { fetch, dialled } = await gateFor(['api.example.com'], { resolver: resolverOf([server.address]) });
    const statuses: number[] = [];
    for (let round = 0; round < 3; round += 1) statuses.push((await fetch('https://api.example.com/')).status);
    expect(statuses).toEqual([502, 403, 502]);
    expect(dialled).toEqual([publicAddress, publicAddress]);
    // A question for each kind of address, and no other before the dial.
    expect(server.asked).toHaveLength(6);
  });

  test('names of the machine itself are not looked up in its files', async () => {
    const { fetch, dialled } = await gateFor(['http://localhost', 'http://localhost.']);
    for (const url of ['http://localhost/', 'http://localhost./', 'http://LOCALHOST/'])
      expect((await fetch(url)).status).toBe(502);
    expect(dialled).toEqual([]);
  });
});

describe('addresses in clothes', () => {
  test.each([
    ...['http://127.0.0.1/', 'http://127.1/', 'http://127.0.0.1./', 'http://2130706433/', 'http://017700000001/'],
    ...['http://0x7f000001/', 'http://0x7f.0.0.1/', 'http://0177.0.0.1/', 'http://127.0.0.0x1/', 'http://0/'],
    ...['http://%31%32%37.0.0.1/', 'http://①②⑦.0.0.1/', 'http://127。0。0。1/', 'http://１２７.0.0.1/'],
    ...['http://[::1]/', 'http://[0:0:0:0:0:0:0:1]/', 'http://[::ffff:127.0.0.1]/', 'http://[::ffff:7f00:1]/'],
    ...['http://[::127.0.0.1]/', 'http://[64:ff9b::127.0.0.1]/', 'http://[2002:7f00:1::]/', 'http://[fe80::1]/'],
    ...['http://0xa9fea9fe/', 'http://2852039166/', 'http://0251.0376.0251.0376/', 'http://[::ffff:a9fe:a9fe]/'],
  ])('%s is refused although the manifest names it, and nobody is asked', async (url) => {
    const { fetch, dialled } = await gateFor([`http://${new URL(url).host}`]);
    // Sent as the WHATWG form, and byte for byte where that is ASCII.
    const written = /^[\x21-\x7e]+$/.test(url) ? [url, new URL(url).href] : [new URL(url).href];
    for (const each of written) expect((await fetch(each)).status).toBe(403);
    expect({ dialled, asked: nameServer.asked }).toEqual({ dialled: [], asked: [] });
  });
});

describe('this machine by its public address', () => {
  test('is refused, by address and by name', async () => {
    names.set('api.example.com', { addresses: [publicAddress] });
    const isOwn = (address: string): boolean => address === publicAddress;
    const { fetch, refused, dialled } = await gateFor(['api.example.com', publicAddress], { isOwn });
    for (const url of ['https://api.example.com/', `https://${publicAddress}/`]) {
      const { status, headers } = await fetch(url);
      expect(status).toBe(403);
      expect(headers[refusedHeader]).toContain('the worker itself');
    }
    expect({ refused: refused.length, dialled }).toEqual({ refused: 2, dialled: [] });
  });

  test('is known by all of its interfaces', () => {
    const all = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
    expect(all.length).toBeGreaterThan(0);
    for (const { address } of all.filter(({ scopeid }) => !scopeid)) expect(isOwnAddress(address)).toBe(true);
    expect(isOwnAddress('0:0:0:0:0:0:0:1')).toBe(isOwnAddress('::1'));
    expect(isOwnAddress(publicAddress)).toBe(false);
    expect(isOwnAddress('no address')).toBe(false);
  });
});

describe('an origin that is somebody else', () => {
  const good = '/CN=api.example.com';
  const certificate = (name: string, subject: string, more: readonly string[]) => {
    const [key, cert] = [join(directory, `${name}.key`), join(directory, `${name}.pem`)];
    const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', subject];
    execFileSync('openssl', ['req', '-x509', ...kind, ...more, '-keyout', key, '-out', cert], { stdio: 'ignore' });
    return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
  };
  const forName = ['-addext', 'subjectAltName=DNS:api.example.com'];

  /** Whether the gate let a request through to an origin with this certificate. */
  async function passes(
    server: { key: string; cert: string },
    { ca, maxVersion }: { ca?: string | undefined; maxVersion?: 'TLSv1.1' } = {},
  ): Promise<{ status: number; heard: number }> {
    let heard = 0;
    const versions = maxVersion && { maxVersion, minVersion: 'TLSv1' as const, ciphers: 'DEFAULT@SECLEVEL=0' };
    const origin = createTlsServer({ ...server, ...versions }, (_request, response) => {
      heard += 1;
      response.end('x');
    });
    const port = await listening(origin);
    names.set('api.example.com', { addresses: [publicAddress] });
    const routes = { 'api.example.com:443': port };
    const dialler = unsafeLoopbackDialler({ evidence: 'simulated', routes, ...(ca === undefined ? {} : { ca }) });
    const { fetch } = await gateFor(['api.example.com'], { dialler });
    const { status } = await fetch('https://api.example.com/', { method: 'POST', body: 'a secret' });
    return { status, heard };
  }

  test('gets nothing, whatever is wrong with its certificate; the right one is let through', async () => {
    const right = certificate('right', good, forName);
    const cases = {
      right: await passes(right, { ca: right.cert }),
      'of an issuer that nobody knows': await passes(right),
      'of another name': await wrong('other', '/CN=other.example.com', [
        '-addext',
        'subjectAltName=DNS:other.example.com',
      ]),
      'with the name as its common name alone': await wrong('common', good, [
        '-addext',
        'subjectAltName=DNS:x.example',
      ]),
      'for the address': await wrong('address', '/CN=x', ['-addext', `subjectAltName=IP:${publicAddress}`]),
      'for a wildcard one level too high': await wrong('wild', '/CN=x', ['-addext', 'subjectAltName=DNS:*.com']),
      'that has expired': await expired(),
    };
    const { right: passed, ...others } = cases;
    expect(passed).toEqual({ status: 200, heard: 1 });
    for (const [name, result] of Object.entries(others))
      expect({ name, ...result }).toEqual({ name, status: 502, heard: 0 });

    async function expired() {
      const made = expiredCertificate(join(directory, 'old'));
      return passes(made, { ca: made.cert });
    }
    async function wrong(name: string, subject: string, more: readonly string[]) {
      const made = certificate(name, subject, more);
      return passes(made, { ca: made.cert });
    }
  });

  test('gets nothing by an old version of TLS', async () => {
    const made = certificate('tls', good, forName);
    expect(await passes(made, { ca: made.cert, maxVersion: 'TLSv1.1' })).toEqual({ status: 502, heard: 0 });
    // That origin does answer whoever lets it.
    const lenient = { minVersion: 'TLSv1' as const, ciphers: 'DEFAULT@SECLEVEL=0', rejectUnauthorized: false };
    const socket = connectTls({ host: '127.0.0.1', port: lastPort, ...lenient });
    await new Promise((resolve) => socket.once('secureConnect', resolve));
    expect(socket.getProtocol()).toBe('TLSv1.1');
    socket.destroy();
  });
});

describe('what passes is counted', () => {
  test('both ways, heads included, and nothing of what is refused', async () => {
    const origin = createServer((request, response) => {
      request.resume();
      request.once('end', () => response.end(Buffer.alloc(50_000)));
    });
    const port = await listening(origin);
    names.set('api.example.com', { addresses: [publicAddress] });
    const routes = { 'api.example.com:80': port };
    const { gate, fetch } = await gateFor(['http://api.example.com'], {
      dialler: unsafeLoopbackDialler({ evidence: 'simulated', routes }),
    });
    expect((await fetch('http://other.example.com/', { method: 'POST', body: 'x'.repeat(10_000) })).status).toBe(403);
    expect(gate.passedBytes).toBe(0);
    await fetch('http://api.example.com/', { method: 'POST', body: 'x'.repeat(20_000) });
    expect(gate.passedBytes).toBeGreaterThan(70_000);
    expect(gate.passedBytes).toBeLessThan(71_000);
  });
});

/** As `openssl req` can't make one: a day in the year 2020, for the right name. */
function expiredCertificate(folder: string): { key: string; cert: string } {
  mkdirSync(folder);
  const at = (name: string): string => join(folder, name);
  writeFileSync(
    at('ca.cnf'),
    `[ca]
default_ca = own
[own]
database = ${at('index')}
serial = ${at('serial')}
new_certs_dir = ${folder}
default_md = sha256
policy = any
x509_extensions = ext
[any]
commonName = supplied
[ext]
subjectAltName = DNS:api.example.com
`,
  );
  writeFileSync(at('index'), '');
  writeFileSync(at('serial'), '01');
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=api.example.com'];
  const run = (args: readonly string[]) => execFileSync('openssl', args, { stdio: 'ignore' });
  run(['req', '-new', ...kind, '-keyout', at('key'), '-out', at('csr')]);
  const day = ['-startdate', '200101000000Z', '-enddate', '200102000000Z'];
  run([
    'ca',
    '-batch',
    '-selfsign',
    '-config',
    at('ca.cnf'),
    '-keyfile',
    at('key'),
    '-in',
    at('csr'),
    ...day,
    '-notext',
    '-out',
    at('pem'),
  ]);
  return { key: readFileSync(at('key'), 'utf8'), cert: readFileSync(at('pem'), 'utf8') };
}

function publicOnes(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `93.184.216.${index + 1}`);
}

async function listening(server: Server & { closeAllConnections?: () => void }): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => {
    server.closeAllConnections?.();
    server.close();
  });
  lastPort = (server.address() as AddressInfo).port;
  return lastPort;
}
