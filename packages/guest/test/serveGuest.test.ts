// The socket under attack: by what stands in a container, and may send whatever it wants.
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request as openRequest } from 'node:http';
import { createConnection, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { EvidenceDocument } from '@cloister/attestation/verify';
import { type GuestAgent, GuestQuotes, maxQuotesOfOneApp, serveGuest } from '@cloister/guest';
import fc from 'fast-check';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { admission, guestRequestRate, maxGuestRequestsAtOnce } from '../src/admission.ts';
import { answerHttp } from '../src/protocol/httpAnswer.ts';
import { maxRequestBytes } from '../src/protocol/requests.ts';
import { maxGuestConnections } from '../src/serveGuest.ts';
import { agentWith, b32, device, signal } from './guestParts.ts';

const folder = mkdtempSync(join(tmpdir(), 'cloister-guest-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let count = 0;
let path: string;
let ending: AbortController;
const nextPath = () => join(folder, `${++count}.sock`);

async function listen(agent: GuestAgent | Promise<GuestAgent> = agentWith()) {
  path = nextPath();
  return serveGuest({ path, agent: await agent, signal: ending.signal });
}
beforeEach(() => {
  ending = new AbortController();
});
afterEach(() => ending.abort());

type Answer = { readonly status: number; readonly body: string };

function ask(to: string, body: string | Uint8Array = '{}', method = 'POST', headers = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const length = { 'content-length': Buffer.byteLength(body), ...headers };
    const outgoing = openRequest({ socketPath: path, path: to, method, headers: length }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts).toString() }));
      response.on('error', reject);
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

/** A connection that says this and no more; resolves once the other side hangs up. */
function stall(...said: readonly string[]): { readonly socket: Socket; readonly closed: Promise<void> } {
  const socket = createConnection({ path });
  socket.on('error', () => {});
  socket.resume();
  for (const part of said) socket.write(part);
  return { socket, closed: new Promise((resolve) => socket.on('close', () => resolve())) };
}

describe('requests', () => {
  test.each<[string, string, string, string?]>([
    ['no such path', '/GetRootKey', '{}'],
    ['a name of all objects', '/constructor', '{}'],
    ['a name of all objects', '/__proto__', '{}'],
    ['a method without its slash', 'GetKey', '{}'],
    ['a legacy method without its prefix', '/Tappd.Info', '{}'],
    ['a method below the legacy prefix', '/prpc/GetKey', '{}'],
    ['a query', '/GetKey?path=a', '{}'],
  ])('%s is 404: %s', async (_, to, body) => {
    await listen();
    const { status, body: said } = await ask(to, body).catch(() => ({ status: 404, body: '{"error":"hung up"}' }));
    expect(status).toBe(404);
    expect(JSON.parse(said)).toHaveProperty('error');
  });

  test.each<[string, string, string | Uint8Array, string?]>([
    ['no JSON', '/GetKey', '{'],
    ['nothing', '/GetKey', ''],
    ['no object', '/GetKey', '[]'],
    ['no UTF-8', '/GetKey', Uint8Array.of(0x22, 0xff, 0x22)],
    ['a field too many', '/GetKey', '{"path":"a","root":true}'],
    ['a prototype', '/GetKey', '{"__proto__":{"path":"a"},"x":1}'],
    ['a path that is a number', '/GetKey', '{"path":7}'],
    ['half a surrogate', '/GetKey', '{"path":"\\ud800"}'],
    ['a path too long', '/GetKey', JSON.stringify({ path: 'x'.repeat(1_025) })],
    ['another algorithm', '/GetKey', '{"algorithm":"rsa"}'],
    ['65 bytes of report data', '/GetQuote', JSON.stringify({ report_data: '00'.repeat(65) })],
    ['half a byte', '/GetQuote', '{"report_data":"0"}'],
    ['no hexadecimal', '/GetQuote', '{"report_data":"zz"}'],
    ['no report data', '/Attest', '{}'],
    ['too much to sign', '/Sign', JSON.stringify({ algorithm: 'ed25519', data: '00'.repeat(64 * 1024 + 1) })],
    ['a digest of 31 bytes', '/Sign', JSON.stringify({ algorithm: 'secp256k1_prehashed', data: '00'.repeat(31) })],
    ['too many names', '/GetTlsKey', JSON.stringify({ alt_names: Array.from({ length: 17 }, () => 'a.example') })],
    ['a URI as a name', '/GetTlsKey', '{"alt_names":["https://a.example/"]}'],
    ['a name with a zero in it', '/GetTlsKey', '{"alt_names":["a.example\\u0000.evil"]}'],
    ['a number that reads as an address', '/GetTlsKey', '{"alt_names":["127.1"]}'],
    ['a wildcard inside', '/GetTlsKey', '{"alt_names":["a.*.example"]}'],
    ['the name of the app’s root', '/GetTlsKey', JSON.stringify({ subject: b32(1).slice(2) })],
    ['an end before its begin', '/GetTlsKey', '{"not_before":1790000000,"not_after":1790000000}'],
    ['a begin long ago', '/GetTlsKey', '{"not_before":0}'],
    ['an event name with a colon', '/EmitEvent', '{"event":"a:b","payload":""}'],
    ['PUT', '/Info', '{}', 'PUT'],
    ['GET of what has fields', '/GetKey', '', 'GET'],
  ])('%s is refused: %s', async (_, to, body, method) => {
    await listen();
    const { status, body: said } = await ask(to, body, method);
    expect(status).toBe(400);
    expect(said).toMatch(/GUEST_(?:REQUEST_INVALID|ALGORITHM_UNKNOWN|CERTIFICATE_REFUSED|EVENT_REFUSED)/);
  });

  test('a refusal of what the SDK takes for an answer unseen is no JSON', async () => {
    await listen();
    for (const to of ['/EmitEvent', '/GetTlsKey', '/GetKey', '/Sign', '/Verify', '/Info']) {
      const { body } = await ask(to, '{"nonsense":1}');
      expect(() => JSON.parse(body), to).toThrow();
    }
    expect(JSON.parse((await ask('/GetQuote', '{"nonsense":1}')).body)).toHaveProperty('error');
  });

  test('a body too large is cut off, stated or not, and the socket goes on', async () => {
    await listen();
    const large = 'x'.repeat(maxRequestBytes + 1);
    const cut = (headers = {}) =>
      ask('/Sign', large, 'POST', headers).then(
        ({ status }) => status,
        () => 413,
      );
    expect(await cut()).toBe(413);
    expect(await cut({ 'content-length': undefined, 'transfer-encoding': 'chunked' })).toBe(413);
    expect((await ask('/Version')).status).toBe(200);
  });

  test('GET reads what has no fields; answers are ASCII, whatever the manifest says', async () => {
    await listen();
    const { status, body } = await ask('/Info', '', 'GET');
    expect(status).toBe(200);
    expect(body).toMatch(/^[\x20-\x7e]+$/);
    expect(body).toContain('\\u4e16');
  });

  test('whatever is asked is answered or refused, never failed', async () => {
    const evidence = await device.quote(new Uint8Array(64), { signal });
    const quotes = { quote: async () => evidence, registers: async () => undefined };
    const agent = await agentWith({ quotes });
    const paths = ['/GetKey', '/GetTlsKey', '/GetQuote', '/Sign', '/Verify', '/EmitEvent', '/prpc/Tappd.TdxQuote'];
    const field = fc.constantFrom('path', 'purpose', 'algorithm', 'data', 'signature', 'public_key', 'report_data');
    const value = fc.oneof(
      fc.constantFrom('ed25519', 'secp256k1', '', '00'),
      fc.string(),
      fc.jsonValue({ maxDepth: 2 }),
    );
    const body = fc.oneof(
      fc.dictionary(field, value).map((json) => JSON.stringify(json)),
      fc.json({ maxDepth: 2 }),
      fc.string({ unit: 'binary' }),
    );
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...paths), body, async (to, text) => {
        const asked = { httpMethod: 'POST', path: to, body: new TextEncoder().encode(text) };
        expect([200, 400]).toContain((await answerHttp(agent, asked, signal)).status);
      }),
      { numRuns: 60 },
    );
  });
});

describe('connections', () => {
  test('that say nothing, or too slowly, are closed in seconds, and others are served meanwhile', async () => {
    await listen();
    const begun = performance.now();
    const slow = [
      stall(),
      stall('POST /Info HTTP/1.1\r\n'),
      stall('POST /Info HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{'),
    ];
    expect((await ask('/Version')).status).toBe(200);
    await Promise.all(slow.map(({ closed }) => closed));
    expect(performance.now() - begun).toBeLessThan(15_000);
    expect((await ask('/Version')).status).toBe(200);
  });

  test('more than may be are hung up on, and have room again afterwards', async () => {
    await listen();
    const held = Array.from({ length: maxGuestConnections }, () => stall('POST /Info HTTP/1.1\r\n'));
    await Promise.all(held.map(({ socket }) => new Promise((resolve) => socket.once('connect', resolve))));
    await expect
      .poll(() =>
        ask('/Version').then(
          ({ status }) => status,
          () => 'hung up',
        ),
      )
      .toBe('hung up');
    for (const { socket } of held) socket.destroy();
    await expect
      .poll(() =>
        ask('/Version').then(
          ({ status }) => status,
          () => 'hung up',
        ),
      )
      .toBe(200);
  });

  test('one carries one request', async () => {
    await listen();
    const request = 'GET /Version HTTP/1.1\r\nhost: x\r\n\r\n';
    const socket = createConnection({ path });
    const said: Buffer[] = [];
    socket.on('data', (part: Buffer) => said.push(part));
    socket.write(request + request);
    await new Promise((resolve) => socket.on('close', resolve));
    expect(
      Buffer.concat(said)
        .toString()
        .match(/HTTP\/1\.1 200/g),
    ).toHaveLength(1);
  });

  test('of which too many wait are refused, and have room again afterwards', async () => {
    let letGo = (): void => {};
    const held = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    let waiting = 0;
    const quotes = {
      async quote(): Promise<never> {
        waiting += 1;
        await held;
        throw new Error('no device');
      },
      registers: () => Promise.reject(new Error('no device')),
    };
    await listen(agentWith({ quotes }));
    const all = Array.from({ length: maxGuestRequestsAtOnce }, () => ask('/GetQuote', '{"report_data":""}'));
    await expect.poll(() => waiting).toBe(maxGuestRequestsAtOnce);
    const { status, body } = await ask('/Version');
    expect([status, body]).toEqual([503, expect.stringContaining('GUEST_BUSY')]);
    letGo();
    // Of what is no error of ours nothing is told.
    for (const answer of await Promise.all(all))
      expect(answer).toEqual({ status: 500, body: '{"error":"GUEST_FAILED: The worker failed"}' });
    expect((await ask('/Version')).status).toBe(200);
  });
});

test('a guest asks as often as its rate allows, and again when time has passed', () => {
  let now = 0;
  const admit = admission(() => now);
  const { burst, perSecond } = guestRequestRate;
  for (let asked = 0; asked < burst; asked += 1) admit().done();
  expect(admit).toThrow(expect.objectContaining({ code: 'GUEST_BUSY', retry: true }));
  now += 1_000;
  for (let asked = 0; asked < perSecond; asked += 1) admit().done();
  expect(admit).toThrow();
  now += 3_600_000;
  const one = admit();
  for (let place = 1; place < maxGuestRequestsAtOnce; place += 1) admit();
  expect(admit).toThrow();
  one.done();
  one.done();
  admit();
  expect(admit).toThrow();
});

describe('the socket', () => {
  test('is there while it listens, for everybody whom its folder lets in, and gone afterwards', async () => {
    const socket = await listen();
    expect(statSync(path).mode & 0o777).toBe(0o666);
    await socket.close();
    expect(() => statSync(path)).toThrow();
    await expect(ask('/Version')).rejects.toThrow();
    const again = await listen();
    ending.abort();
    await again.close();
    expect(() => statSync(path)).toThrow();
  });

  test.each<[string, () => string]>([
    [
      'a file',
      () => {
        const at = nextPath();
        writeFileSync(at, 'x');
        return at;
      },
    ],
    [
      'a folder',
      () => {
        const at = nextPath();
        mkdirSync(at);
        return at;
      },
    ],
    ['a relative path', () => 'dstack.sock'],
    ['a path too long', () => join(folder, 'x'.repeat(108))],
    ['no such folder', () => join(folder, 'none', 'dstack.sock')],
  ])('is not put in the place of %s', async (_, make) => {
    const at = make();
    const opening = serveGuest({ path: at, agent: await agentWith(), signal: ending.signal });
    await expect(opening).rejects.toMatchObject({ code: 'GUEST_SOCKET_UNUSABLE' });
  });

  test('of an instance that is over answers nothing of it', async () => {
    const agent = await agentWith();
    await listen(agent);
    agent.close();
    for (const to of ['/Info', '/GetKey', '/GetTlsKey']) expect((await ask(to)).body, to).toContain('GUEST_CLOSED');
    expect((await ask('/Sign', '{"algorithm":"ed25519","data":"00"}')).body).toContain('GUEST_CLOSED');
    expect((await ask('/GetQuote', '{"report_data":"00"}')).body).toContain('GUEST_CLOSED');
    expect((await ask('/EmitEvent', '{"event":"a","payload":""}')).body).toContain('GUEST_CLOSED');
  });
});

describe('another app', () => {
  test('has other keys at the same path, and nothing in a request names whose', async () => {
    const keyOf = async (agent: GuestAgent) => toKey(await agent.givenKey({ path: 'a', purpose: '', algorithm: '' }));
    const toKey = ({ key }: { readonly key: Uint8Array }) => Buffer.from(key).toString('hex');
    const own = await keyOf(await agentWith({ rootByte: 1 }));
    expect(await keyOf(await agentWith({ rootByte: 2 }))).not.toBe(own);
    await listen(agentWith({ rootByte: 1 }));
    for (const body of [
      { path: 'a', app: b32(2) },
      { path: 'a', app_id: b32(2) },
      { path: 'a', key_version: 2 },
    ])
      expect((await ask('/GetKey', JSON.stringify(body))).status).toBe(400);
  });

  test('waits for one quote at most, and one app can not take all the places', async () => {
    let letGo = (): void => {};
    const held = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    let atOnce = 0;
    let most = 0;
    const slow = {
      async quote(reportData: Uint8Array, options: { readonly signal: AbortSignal }): Promise<EvidenceDocument> {
        most = Math.max(most, ++atOnce);
        await held;
        atOnce -= 1;
        return device.quote(reportData, options);
      },
    };
    const quotes = new GuestQuotes(slow);
    const [greedy, other] = await Promise.all([agentWith({ quotes }), agentWith({ quotes, app: b32(2) })]);
    const asked = Array.from({ length: maxQuotesOfOneApp }, () => greedy.quote(new Uint8Array(), signal));
    await expect(greedy.quote(new Uint8Array(), signal)).rejects.toMatchObject({ code: 'GUEST_BUSY', retry: true });
    const others = other.quote(new Uint8Array(), signal);
    letGo();
    await Promise.all([...asked, others]);
    expect(most).toBe(1);
    await greedy.quote(new Uint8Array(), signal);
  });
});
