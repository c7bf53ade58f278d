import { connect } from 'node:net';
import {
  CloisterError,
  DeadlineError,
  maxBridgeStatementBytes,
  maxJudgedEvidenceBytes,
  maxKeyRequestBytes,
  maxStateRequestBytes,
  SchemaError,
  type StatePartition,
  zeroAddress,
  zeroBytes32,
} from '@cloister/core';
import { createLogger, createMetrics } from '@cloister/service';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { BeaconKeeper } from '../src/beacon/beaconKeeper.ts';
import { refused as bridgeRefused } from '../src/bridge/bridgeRules.ts';
import type { BridgeService } from '../src/bridge/bridgeService.ts';
import { maxExchangeBytes } from '../src/handover/exchange.ts';
import type { HandoverKeeper } from '../src/handover/handoverKeeper.ts';
import { KeyRefusedError } from '../src/keys/keyRules.ts';
import type { KeyService } from '../src/keys/keyService.ts';
import { refused } from '../src/results/resultErrors.ts';
import type { ResultService } from '../src/results/resultService.ts';
import { RoundError, type RoundKeeper } from '../src/rounds/roundKeeper.ts';
import { GatekeeperServer, type ServerComponents, type ServerInit } from '../src/server.ts';
import { maxStateRecordsRequestBytes } from '../src/state/stateRecords.ts';
import type { StateRecovery } from '../src/state/stateRecovery.ts';
import { StateRefusedError } from '../src/state/stateRules.ts';
import type { StateService } from '../src/state/stateService.ts';

const session = `0x${'5e'.repeat(32)}` as const;
const shares = [{ apps: `0x${'a1'.repeat(48)}`, beacon: `0x${'b1'.repeat(48)}` }] as const;
const leaves = {
  measurementsRoot: [{ leaf: session, says: { work: 1n } }],
  directoryRoot: [],
  evictionRoot: [],
  releaseLogRoot: [],
} as const;
const keyBody = { some: 'request' };

/** What stands behind the door here. */
type Behind = {
  readonly receive: HandoverKeeper['receive'];
  readonly answer: KeyService['answer'];
  readonly fence: (json: unknown) => Promise<unknown>;
  readonly partial: BeaconKeeper['partial'];
  readonly signature: BeaconKeeper['signature'];
  readonly rounds: Partial<RoundKeeper>;
  readonly results: Partial<ResultService>;
  readonly bridges: Partial<BridgeService>;
  readonly head: ServerComponents['head'];
  readonly status: ServerComponents['status'];
  readonly evidence: ServerComponents['evidence'];
};

const statement = {
  round: 9n,
  time: 50n,
  block: 5n,
  blockHash: zeroBytes32,
  evictionRoot: zeroBytes32,
  signature: '0xaa',
} as const;

let server: GatekeeperServer | undefined;
let url: string;
let log: string[];

async function open(behind: Partial<Behind> = {}, init: Partial<ServerInit> = {}): Promise<void> {
  await server?.stop();
  const metrics = createMetrics();
  metrics.counter({ name: 'test_total', help: 'test' }).add(1);
  server = new GatekeeperServer(
    {
      handovers: { receive: behind.receive ?? (async (exchange) => exchange) } as HandoverKeeper,
      keys: { answer: behind.answer ?? (async (json) => ({ asked: json })) } as KeyService,
      beacon: {
        partial: behind.partial ?? ((round) => ({ generation: 7n, index: 2, signature: `0x${round.toString(16)}` })),
        signature: behind.signature ?? (async (round) => `0xff${round.toString(16)}`),
      } as BeaconKeeper,
      rounds: {
        partial: async (round: bigint) => ({ generation: 7n, index: 2, signature: `0x${round.toString(16)}` }),
        statement: async (round: bigint) => ({ statement: { ...statement, round }, evicted: [zeroAddress] }),
        newest: () => ({ statement, evicted: [] }),
        ...behind.rounds,
      } as RoundKeeper,
      states: {
        fence: behind.fence ?? (async (json) => ({ fenced: json })),
        write: async (json: unknown) => ({ written: json }),
        keep: async (json: unknown) => ({ kept: json }),
        status: ({ app, partition }: StatePartition) =>
          app === session && partition === 7 ? { fence: 9n } : undefined,
      } as unknown as StateService,
      stateRecovery: { page: (json: unknown) => ({ page: json }) } as unknown as StateRecovery,
      bridges: {
        admit: () => {},
        answer: async (json) => ({ stated: JSON.stringify(json) }),
        ...behind.bridges,
      },
      results: {
        admit: () => {},
        answer: async (json: unknown) => ({ judged: json }),
        ...behind.results,
      } as ResultService,
      epochs: {
        index: async (epoch) =>
          epoch === 7n ? { epoch, commitments: [], publications: [], candidates: [] } : undefined,
        vector: async (id) => (id === session ? new TextEncoder().encode('{"any":"vector"}') : undefined),
        leaves: async (digest) => (digest === session ? leaves : undefined),
      },
      publicSharesOf: (generation) => (generation === 7n ? shares : undefined),
      head: behind.head ?? (() => ({ number: 5n, hash: zeroBytes32, timestamp: 50n, signature: '0xaa' })),
      status: behind.status ?? (() => ({ generation: 7n, holdsShares: true })),
      evidence: behind.evidence ?? (() => ({ teeType: 'tdx' })),
      metrics,
      log: createLogger({ name: 'gatekeeper', write: (line) => log.push(line) }),
    },
    { host: '127.0.0.1', port: 0, ...init },
  );
  url = await server.start();
}

beforeEach(() => {
  log = [];
  return open();
});
afterEach(async () => {
  await server?.stop();
  server = undefined;
});

async function get(path: string, init?: RequestInit): Promise<{ status: number; body: unknown; headers: Headers }> {
  const response = await fetch(`${url}${path}`, init);
  const text = await response.text();
  const isJson = text !== '' && response.headers.get('content-type') === 'application/json';
  return { status: response.status, body: isJson ? JSON.parse(text) : text, headers: response.headers };
}

const post = (path: string, body: string) => get(path, { method: 'POST', body });

describe('whoever asks is answered', () => {
  test.each<[string, unknown]>([
    ['/v1/gatekeeper', { generation: '7', holdsShares: true }],
    ['/v1/evidence', { teeType: 'tdx' }],
    ['/v1/beacon/0', { round: '0', signature: '0xff0' }],
    ['/v1/beacon/26', { round: '26', signature: '0xff1a' }],
    ['/v1/beacon/26/partial', { generation: '7', index: 2, signature: '0x1a' }],
    ['/v1/rounds/26', { ...statement, round: '26', time: '50', block: '5' }],
    ['/v1/rounds/latest', { ...statement, round: '9', time: '50', block: '5' }],
    ['/v1/rounds/26/partial', { generation: '7', index: 2, signature: '0x1a' }],
    ['/v1/rounds/26/evicted', [zeroAddress]],
    ['/v1/generations/7/public-shares', shares],
    [`/v1/state/${session}/7`, { fence: '9' }],
    ['/v1/epochs/7', { epoch: '7', commitments: [], publications: [], candidates: [] }],
    [`/v1/epochs/vectors/${session}`, { any: 'vector' }],
    [`/v1/epochs/leaves/${session}`, { ...leaves, measurementsRoot: [{ leaf: session, says: { work: '1' } }] }],
  ])('GET %s', async (path, body) => {
    expect(await get(path)).toMatchObject({ status: 200, body });
  });

  test('GET /metrics, as Prometheus reads it', async () => {
    const { status, body, headers } = await get('/metrics');
    expect([status, headers.get('content-type')]).toEqual([200, expect.stringContaining('text/plain')]);
    expect(body).toContain('test_total 1');
  });

  test('POST of evidence, once its sender may ask', async () => {
    expect(await post('/v1/attestations', '{"a":1}')).toMatchObject({ status: 200, body: { judged: { a: 1 } } });
    const clients: string[] = [];
    await open({
      results: {
        admit: (client) => {
          clients.push(client);
          throw refused('RESULT_RATE_LIMITED', 'Too much');
        },
        answer: () => expect.fail('It was judged'),
      },
    });
    expect(await post('/v1/attestations', '{"a":1}')).toMatchObject({
      status: 503,
      body: { code: 'RESULT_RATE_LIMITED' },
    });
    expect(clients).toEqual(['127.0.0.1']);
  });

  test('POST of a statement about another chain, once its sender may ask', async () => {
    expect(await post('/v1/bridges', '{"a":1}')).toMatchObject({ status: 200, body: { stated: '{"a":1}' } });
    const limited = () => {
      throw bridgeRefused('BRIDGE_RATE_LIMITED', 'Too much');
    };
    await open({ bridges: { admit: limited, answer: () => expect.fail('It was judged') } });
    expect(await post('/v1/bridges', '{"a":1}')).toMatchObject({ status: 503, body: { code: 'BRIDGE_RATE_LIMITED' } });
  });

  test('POST of a key request and of a ceremony’s messages', async () => {
    expect(await post('/v1/keys', JSON.stringify(keyBody))).toMatchObject({ status: 200, body: { asked: keyBody } });
    const exchange = { session, have: [], messages: [{ any: 'message' }] };
    expect(await post('/v1/ceremony', JSON.stringify(exchange))).toMatchObject({ status: 200, body: exchange });
  });

  test.each([
    ['fence', 'fenced'],
    ['head', 'written'],
    ['certified', 'kept'],
    ['records', 'page'],
  ])('POST of /v1/state/%s', async (door, name) => {
    const body = { some: 'request' };
    expect(await post(`/v1/state/${door}`, JSON.stringify(body))).toMatchObject({
      status: 200,
      body: { [name]: body },
    });
  });

  test('with 403 a fence that stands higher', async () => {
    await open({ fence: () => Promise.reject(new StateRefusedError('STATE_FENCED', 'Fence "2" stands, got "1"')) });
    expect(await post('/v1/state/fence', '{}')).toMatchObject({ status: 403, body: { code: 'STATE_FENCED' } });
  });

  test.each([
    '/',
    '/v1/beacon/01',
    '/v1/beacon/-1',
    '/v1/beacon/1234567890123456789',
    '/v1/beacon/1/partial/',
    '/v1/rounds/01',
    '/v1/rounds/1/others',
    '/v1/rounds/newest',
    '/v1/generations/0/public-shares',
    '/v1/generations/8/public-shares',
    '/v1/gatekeeper?x=1',
    `/v1/state/${session}/8`,
    `/v1/state/${session}/07`,
    `/v1/state/${session}/1024`,
    `/v1/state/${session.slice(0, -1)}/7`,
    '/v1/epochs/8',
    '/v1/epochs/07',
    '/v1/epochs/7/',
    '/v1/epochs/vectors/7',
    `/v1/epochs/vectors/0x${'00'.repeat(32)}`,
    `/v1/epochs/leaves/0x${'00'.repeat(32)}`,
    `/v1/epochs/leaves/${session.toUpperCase()}`,
  ])('with 404 where there is nothing: %s', async (path) => {
    expect(await get(path)).toMatchObject({ status: 404, body: { code: 'NOT_FOUND' } });
  });

  test.each([
    ['PUT', '/v1/keys'],
    ['DELETE', '/v1/gatekeeper'],
    ['POST', '/v1/gatekeeper'],
    ['POST', '/v1/beacon/1'],
    ['POST', `/v1/state/${session}/7`],
    ['HEAD', '/v1/gatekeeper'],
  ])('with 405 to %s %s', async (method, path) => {
    expect((await get(path, { method })).status).toBe(405);
  });

  test('from any page: a browser may read every answer, and keeps none', async () => {
    const preflight = await get('/v1/keys', { method: 'OPTIONS' });
    expect([preflight.status, preflight.headers.get('access-control-allow-headers')]).toEqual([204, 'content-type']);
    const answers = [preflight, await get('/v1/gatekeeper'), await get('/metrics'), await get('/nothing')];
    for (const { headers } of [...answers, await post('/v1/keys', '{')]) {
      expect(headers.get('access-control-allow-origin')).toBe('*');
      expect(headers.get('cache-control')).toBe('no-store');
      expect(headers.get('x-content-type-options')).toBe('nosniff');
    }
  });
});

describe('what can’t be answered is told apart', () => {
  test.each(['/v1/keys', '/v1/ceremony', '/v1/attestations', '/v1/bridges'])(
    'with 400 what is no JSON, sent to %s',
    async (path) => {
      for (const body of ['', '{', 'text', '{"a":1}}'])
        expect(await post(path, body)).toMatchObject({ status: 400, body: { code: 'JSON_MALFORMED' } });
    },
  );

  test('with 400 what has another form', async () => {
    const answer = await post('/v1/ceremony', JSON.stringify({ session, have: [], messages: [], more: 1 }));
    expect(answer).toMatchObject({ status: 400, body: { code: 'SCHEMA_MISMATCH' } });
    await open({ answer: () => Promise.reject(new SchemaError('key request', '$', 'no')) });
    expect(await post('/v1/keys', '{}')).toMatchObject({ status: 400, body: { code: 'SCHEMA_MISMATCH' } });
  });

  test.each([
    ['/v1/keys', maxKeyRequestBytes],
    ['/v1/ceremony', maxExchangeBytes],
    ['/v1/state/fence', maxStateRequestBytes],
    ['/v1/state/head', maxStateRequestBytes],
    ['/v1/state/certified', maxStateRequestBytes],
    ['/v1/state/records', maxStateRecordsRequestBytes],
    ['/v1/attestations', maxJudgedEvidenceBytes],
    ['/v1/bridges', maxBridgeStatementBytes],
  ])('with 400 a body of %s beyond its size, whose sender hears it', async (path, max) => {
    const seen: unknown[] = [];
    const answer = async (json: unknown) => ({ bytes: seen.push(json) });
    await open({ answer, results: { answer }, bridges: { answer: async (json) => ({ bytes: `${seen.push(json)}` }) } });
    for (const extra of [1, 1_000_000]) {
      const body = JSON.stringify('x'.repeat(max + extra - 2));
      expect(await post(path, body)).toMatchObject({ status: 400, body: { code: 'JSON_TOO_LARGE' } });
    }
    expect(seen).toEqual([]);
    // One that is as long as it may be is read.
    const longest = await post(path, JSON.stringify('x'.repeat(max - 2)));
    expect(longest).not.toMatchObject({ body: { code: 'JSON_TOO_LARGE' } });
  });

  test.each<[string, number, Error]>([
    ['a refusal', 403, new KeyRefusedError('KEY_WORKER_NOT_PLACED', 'It is not placed there')],
    ['what may pass', 503, new KeyRefusedError('KEY_NO_SHARES', 'No shares yet')],
    ['a chain that is away', 503, new CloisterError({ code: 'CHAIN_SPLIT', message: 'Split', retry: true })],
    ['what took too long', 503, new DeadlineError('DEADLINE_EXCEEDED', 'Reading the chain', 10)],
    ['what was cut off with the request', 503, new DeadlineError('ABORTED', 'Reading the chain', 10)],
  ])('%s with its code: %i', async (_, status, error) => {
    await open({ answer: () => Promise.reject(error) });
    const { code } = error as CloisterError;
    expect(await post('/v1/keys', '{}')).toMatchObject({ status, body: { code, message: error.message } });
    expect(log).toEqual([]);
  });

  test('a defect is in the log and not in the answer', async () => {
    await open({ answer: () => Promise.reject(new TypeError('secret detail')) });
    const answer = await post('/v1/keys', '{}');
    expect(answer).toMatchObject({ status: 500, body: { code: 'INTERNAL' } });
    expect(JSON.stringify(answer.body)).not.toContain('secret detail');
    expect(log.join()).toContain('secret detail');
  });

  test('GET /v1/head tells the newest block that it sees, signed', async () => {
    expect(await get('/v1/head')).toMatchObject({
      status: 200,
      body: { number: '5', hash: zeroBytes32, timestamp: '50', signature: '0xaa' },
    });
  });

  test('GET /v1/rounds of what there is not yet, or no longer', async () => {
    const refuse = (code: 'ROUND_UNAVAILABLE' | 'ROUND_OVER') => () => {
      throw new RoundError(code, 'none', undefined);
    };
    await open({ rounds: { newest: refuse('ROUND_UNAVAILABLE'), statement: refuse('ROUND_OVER') } });
    expect(await get('/v1/rounds/latest')).toMatchObject({ status: 503, body: { code: 'ROUND_UNAVAILABLE' } });
    expect(await get('/v1/rounds/1')).toMatchObject({ status: 403, body: { code: 'ROUND_OVER' } });
  });

  test.each(['/v1/gatekeeper', '/v1/evidence', '/v1/head'])('GET %s before it has registered: 503', async (path) => {
    await open({ status: () => undefined, evidence: () => undefined, head: () => undefined });
    expect(await get(path)).toMatchObject({
      status: 503,
      body: { code: 'GATEKEEPER_STARTING', message: expect.stringContaining('not registered yet') },
    });
  });
});

describe('nobody holds it up', () => {
  test('whoever comes beside as many as it answers at once is sent to another member, until one is done', async () => {
    const release = Promise.withResolvers<Record<string, unknown>>();
    let running = 0;
    const answer = () => {
      running += 1;
      return release.promise;
    };
    await open({ answer }, { maxConcurrent: 2 });
    const first = [post('/v1/keys', '{}'), post('/v1/keys', '{}')];
    await expect.poll(() => running).toBe(2);
    expect(await get('/v1/gatekeeper')).toMatchObject({ status: 503, body: { code: 'GATEKEEPER_BUSY' } });
    release.resolve({ done: true });
    expect(await Promise.all(first)).toMatchObject([{ status: 200 }, { status: 200 }]);
    expect((await get('/v1/gatekeeper')).status).toBe(200);
  });

  test('an answer that does not come ends with the deadline', async () => {
    const answer: Behind['answer'] = (_, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(new DeadlineError('ABORTED', 'Reading the chain', 1)));
      });
    await open({ answer }, { requestTimeoutMs: 300 });
    expect(await post('/v1/keys', '{}')).toMatchObject({ status: 503, body: { code: 'ABORTED' } });
  });

  test('a body that never ends is cut off soon after the deadline', async () => {
    await open({}, { requestTimeoutMs: 500, maxConcurrent: 1 });
    const began = performance.now();
    const heard = await slowly('POST /v1/keys HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{');
    expect(heard).toMatch(/^HTTP\/1\.1 408 /);
    expect(performance.now() - began).toBeLessThan(5_000);
    // Its place is free again.
    await expect.poll(async () => (await get('/v1/gatekeeper')).status).toBe(200);
    expect(log).toEqual([]);
  });

  test('a body beyond its size is refused as soon as that shows, however much is said to come', async () => {
    await open({}, { requestTimeoutMs: 500 });
    const begun = 'x'.repeat(maxKeyRequestBytes + 1);
    const heard = await slowly(`POST /v1/keys HTTP/1.1\r\nhost: x\r\ncontent-length: 9000000\r\n\r\n${begun}`);
    expect(heard).toMatch(/^HTTP\/1\.1 400 .*JSON_TOO_LARGE/s);
  });

  test('it stops while somebody waits', async () => {
    await open({ answer: () => new Promise(() => {}) });
    const waiting = post('/v1/keys', '{}').catch(() => 'cut off');
    await get('/v1/gatekeeper');
    await server?.stop();
    server = undefined;
    expect(await waiting).toBe('cut off');
  });
});

/** Sends a request's beginning and no more; answers what is heard until the connection ends. */
function slowly(beginning: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1', () => socket.write(beginning));
    let heard = '';
    socket.on('data', (data) => {
      heard += data;
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(heard));
  });
}
