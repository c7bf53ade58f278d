import { once } from 'node:events';
import { createServer } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  type AttestationDriver,
  collateralSource,
  type DstackDevice,
  type DstackDriverInit,
  dstackDriver,
  dstackSockets,
} from '../../src/attest/index.ts';
import { quoteOf } from '../../src/verify/index.ts';
import { fixtureJson, hasFixtures } from '../fixtures.ts';
import { codeOf, collateralAt, countingFetcher, gate, never, now, quoteOver, root } from './attestWorld.ts';
import { deviceCompliance, tdxClaims } from './compliance.ts';
import {
  type FakeDstackAgent,
  goodAnswer,
  quoteReply,
  reply,
  reportDataOf,
  startFakeDstackAgent,
} from './fakeDstackAgent.ts';

const roots = [root.trustRoot];
const collateral = collateralSource({ fetchers: [countingFetcher(() => collateralAt())], roots, now: () => now });
const reportData = Uint8Array.from({ length: 64 }, (_, index) => 255 - index);

function driverAt(endpoint: string | undefined, init: Partial<DstackDriverInit> = {}): AttestationDriver {
  return dstackDriver({ collateral, endpoint, timeoutMs: 5_000, ...init });
}

deviceCompliance({
  name: 'dstack guest agent',
  kind: 'tdx',
  simulated: false,
  async setup() {
    const agent = await startFakeDstackAgent();
    let until = Promise.resolve();
    agent.answer = async (path, body, response) => {
      if (path === '/GetQuote') await until;
      goodAnswer(path, body, response);
    };
    return {
      driver: driverAt(agent.socket),
      verify: tdxClaims(roots),
      elsewhere: driverAt(undefined, { files: { exists: async () => false } }),
      asked: () => agent.asked.filter((path) => path === '/GetQuote').length,
      traces: () => [],
      hold: (promise) => {
        until = promise;
      },
      teardown: agent.stop,
    };
  },
});

let agent: FakeDstackAgent;
beforeEach(async () => {
  agent = await startFakeDstackAgent();
});
afterEach(() => agent.stop());

async function quoteWith(answer: FakeDstackAgent['answer'], init: Partial<DstackDriverInit> = {}): Promise<unknown> {
  const device = await driverAt(agent.socket, init).open({ signal: never });
  agent.answer = answer;
  return device.quote(reportData, { signal: never });
}

/** Answers to GetQuote like this. */
const toQuote =
  (body: Record<string, unknown> | string, status = 200): FakeDstackAgent['answer'] =>
  (_, __, response) =>
    reply(response, body, status);

test('tells version and app, by the first socket that is there', async () => {
  const device = (await driverAt(agent.socket).open({ signal: never })) as DstackDevice;
  expect(device.provider).toBe('dstack guest agent 0.5.4');
  expect(device.info).toEqual({
    appId: 'a0'.repeat(20),
    instanceId: 'b0'.repeat(20),
    composeHash: 'c0'.repeat(32),
    version: '0.5.4',
  });
  const looked: string[] = [];
  const exists = async (path: string) => {
    looked.push(path);
    return path === dstackSockets[2];
  };
  expect(await driverAt(undefined, { files: { exists } }).unavailable({ signal: never })).toMatchObject({
    code: 'NOT_ANSWERING',
    reason: `Could not ask the dstack agent at "${dstackSockets[2]}": there is no such socket`,
  });
  expect(looked).toEqual(dstackSockets.slice(0, 3));
});

test('an agent that does not know Version, or says nothing of itself, is used all the same', async () => {
  agent.answer = (path, body, response) => {
    if (path === '/Version') reply(response, { error: 'no such method' }, 404);
    else if (path === '/Info') reply(response, { app_id: 7, compose_hash: 'x'.repeat(300), instance_id: 'a\u0000b' });
    else goodAnswer(path, body, response);
  };
  const device = (await driverAt(agent.socket).open({ signal: never })) as DstackDevice;
  expect(device.provider).toBe('dstack guest agent');
  expect(Object.values(device.info)).toEqual([undefined, undefined, undefined, undefined]);
});

test('a simulator is asked by its URL', async () => {
  const server = createServer((connection) => {
    connection.once('data', (data) => {
      const body = /GET|POST \/(\S+)/.exec(String(data))?.[1] === 'Info' ? '{}' : '{"version":"sim"}';
      connection.end(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  const device = await driverAt(`http://127.0.0.1:${port}/`).open({ signal: never });
  expect(device.provider).toBe('dstack guest agent sim');
  server.close();
});

test.runIf(hasFixtures)('real evidence: replies are read', async () => {
  for (const name of ['quote-report', 'tdx-lite-getquote']) {
    const real = fixtureJson<Record<string, string>>(`dstack/${name}.json`);
    const anyCollateral = { collateralFor: async () => collateralAt() };
    const device = await driverAt(agent.socket, { collateral: anyCollateral }).open({ signal: never });
    agent.answer = toQuote(real);
    const asked = Uint8Array.from(Buffer.from(real.report_data ?? '', 'hex'));
    const document = await device.quote(asked, { signal: never });
    expect(real.quote).toContain(Buffer.from(quoteOf(document)).toString('hex'));
    agent.answer = goodAnswer;
  }
});

test('a quote over other report data is refused by name, whatever the reply says', async () => {
  const foreign = quoteReply(new Uint8Array(64).fill(9));
  expect(await codeOf(quoteWith(toQuote(foreign)))).toBe('REPORT_DATA_NOT_BOUND');
  const claimed = { ...foreign, report_data: Buffer.from(reportData).toString('hex') };
  expect(await codeOf(quoteWith(toQuote(claimed)))).toBe('REPORT_DATA_NOT_BOUND');
});

test.each([
  ['no JSON', '<html>'],
  ['a list', '[]'],
  ['null', 'null'],
  ['no quote', { event_log: '[]' }],
  ['a quote of half a byte', { ...quoteReply(reportData), quote: 'abc' }],
  ['a quote in no hexadecimal', { ...quoteReply(reportData), quote: 'zz' }],
  ['an empty quote', { ...quoteReply(reportData), quote: '' }],
  ['a quote that is none', { ...quoteReply(reportData), quote: '00'.repeat(5000) }],
  [
    'a quote cut short',
    { ...quoteReply(reportData), quote: Buffer.from(quoteOver(reportData)).toString('hex', 0, 900) },
  ],
  ['no event log', { ...quoteReply(reportData), event_log: undefined }],
  ['an event log that is no text', { ...quoteReply(reportData), event_log: [] }],
])('a reply that is %s is refused by name', async (_, body) => {
  expect(await codeOf(quoteWith(toQuote(body)))).toBe('DEVICE_REPLY_MALFORMED');
});

test.each([
  [400, 'DEVICE_REFUSED'],
  [404, 'DEVICE_REFUSED'],
  [500, 'DEVICE_FAILED'],
  [302, 'DEVICE_FAILED'],
])('status %d is %s', async (status, code) => {
  expect(await codeOf(quoteWith(toQuote({ error: 'no' }, status)))).toBe(code);
});

test('a reply without end is not read to its end', async () => {
  let sent = 0;
  const code = await codeOf(
    quoteWith((_, __, response) => {
      response.writeHead(200);
      const more = () => {
        if (response.destroyed) return;
        sent += 65_536;
        response.write(Buffer.alloc(65_536, 0x20), () => setImmediate(more));
      };
      more();
    }),
  );
  expect(code).toBe('DEVICE_REPLY_TOO_LARGE');
  expect(sent).toBeLessThan(20 * 1024 * 1024);
});

test.each([
  ['before its answer', () => undefined],
  [
    'within its answer',
    (response: { writeHead: (status: number, headers: object) => void; write: (text: string) => void }) => {
      response.writeHead(200, { 'content-length': '1000' });
      response.write('{"quote":"');
    },
  ],
])('an agent that ends the connection %s is said to', async (_, begin) => {
  const answer: FakeDstackAgent['answer'] = (__, ___, response) => {
    begin(response as never);
    setImmediate(() => response.destroy());
  };
  expect(await codeOf(quoteWith(answer))).toBe('DEVICE_FAILED');
});

test.each([
  ['says nothing', () => undefined],
  ['sends its answer a byte at a time', (response: { write: (text: string) => void }) => response.write('{')],
])('an agent that %s is given up on', async (_, begin) => {
  const held = gate();
  const answer: FakeDstackAgent['answer'] = (__, ___, response) => {
    begin(response as never);
    return held.opened;
  };
  const code = await codeOf(quoteWith(answer, { quoteTimeoutMs: 20 }));
  held.open();
  expect(code).toBe('DEVICE_TIMEOUT');
});

test('what speaks no HTTP is refused by name', async () => {
  const server = createServer((connection) => connection.end('SSH-2.0-OpenSSH_9.2\r\n\r\n'));
  const path = `${agent.socket}.ssh`;
  server.listen(path);
  await once(server, 'listening');
  expect(await codeOf(driverAt(path).open({ signal: never }))).toBe('DEVICE_REPLY_MALFORMED');
  expect(await driverAt(path).unavailable({ signal: never })).toMatchObject({ code: 'NOT_ANSWERING' });
  server.close();
});

test('a socket that nobody serves is told so', async () => {
  expect(await driverAt(`${agent.socket}.gone`).unavailable({ signal: never })).toEqual({
    code: 'NOT_ANSWERING',
    reason: `Could not ask the dstack agent at "${agent.socket}.gone": there is no such socket`,
    hint: 'Mount the socket of the guest agent into this container',
  });
  expect(await codeOf(driverAt(`${agent.socket}.gone`).open({ signal: never }))).toBe('DEVICE_GONE');
});

test.each(['dstack.sock', 'ftp://127.0.0.1/', ''])('the endpoint "%s" is refused by name', async (endpoint) => {
  expect(await codeOf(driverAt(endpoint).open({ signal: never }))).toBe('DEVICE_FAILED');
});

test('report data is asked for in full, even where it ends in zeros', async () => {
  const asked = new Uint8Array(64);
  const device = await driverAt(agent.socket).open({ signal: never });
  let seen = '';
  agent.answer = (_, body, response) => {
    seen = String(body.report_data);
    reply(response, quoteReply(reportDataOf(body)));
  };
  await device.quote(asked, { signal: never });
  expect(seen).toBe('00'.repeat(64));
});
