import { responseMediaType } from '@cloister/channel/client';
import { receiptStatuses, sleep, zeroBytes32 } from '@cloister/core';
import { utf8 } from '@cloister/crypto';
import { type CallOptions, type CallRequest, createClient } from '@cloister/sdk';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  address,
  bytes32,
  type CallFault,
  keyProblem,
  SimulatedNetwork,
  type StubWorker,
  sealedResponse,
} from './simulatedNetwork.ts';

// Pauses between attempts are as long as they say, but pass at once.
vi.mock('@cloister/core', async (original) => {
  const core = await original<typeof import('@cloister/core')>();
  return { ...core, sleep: vi.fn((_ms: number, signal?: AbortSignal) => core.sleep(0, signal)) };
});

let network: SimulatedNetwork;
let worker: StubWorker;
let app: `0x${string}`;

beforeEach(async () => {
  network = await SimulatedNetwork.start();
  worker = await network.addWorker();
  app = network.addApp({ limits: { wallMs: 5_000 } }).app;
});
afterEach(() => network.stop());

const client = () => createClient({ network: network.file, fetch: network.gateway.fetch });
const call = (request: CallRequest = {}, options: CallOptions = {}) => client().call(app, request, options);
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const calls = () => network.gateway.calls.length;

// What the way does to one call. The worker has served it in all but the last three.
const loseLastChunk: CallFault = async (to, bytes) => sealedResponse((await to.serve(bytes)).slice(0, -1));
const breakInAnswer: CallFault = async (to, bytes) =>
  sealedResponse([...(await to.serve(bytes)).slice(0, 1), new TypeError('terminated')]);
const loseAnswer: CallFault = async (to, bytes) => {
  await to.serve(bytes);
  throw new TypeError('fetch failed');
};
const serverError: CallFault = () => new Response('oops', { status: 502 });
const refuseKey: CallFault = () => keyProblem();
const loseRequest: CallFault = () => {
  throw new TypeError('fetch failed');
};

describe("an answer's size", () => {
  const MiB = 1024 * 1024;

  // Hashing 70 MiB at both ends takes ten seconds.
  test.runIf(process.env.CLOISTER_LONG === '1')(
    'follows from what the app may answer, more than the channel takes by itself',
    async () => {
      const large = network.addApp({ name: 'large', limits: { outputBytes: 80 * MiB } }).app;
      worker.run = () => ({ body: [new Uint8Array(70 * MiB)] });
      expect((await client().call(large)).body.length).toBe(70 * MiB);
    },
  );

  test('is refused beyond it', async () => {
    const small = network.addApp({ name: 'small', limits: { outputBytes: 1 * MiB } }).app;
    worker.run = () => ({ body: [new Uint8Array(8 * MiB)] });
    await expect(client().call(small)).rejects.toMatchObject({ code: 'RESPONSE_TOO_LARGE' });
  });
});

describe('an answer that arrives', () => {
  test('comes with all steps, from evidence to receipt', async () => {
    worker.run = ({ request }) => ({
      status: 201,
      headers: [['x-made-by', 'handler']],
      body: [utf8('you said '), request.body],
    });
    const result = await call({ method: 'post', path: '/x?y=1', body: utf8('hello') });
    expect(result).toMatchObject({ ok: true, outcome: 'ok', status: 201, headers: [['x-made-by', 'handler']] });
    expect(text(result.body)).toBe('you said hello');
    expect(result.request).toMatchObject({ method: 'POST', path: '/x?y=1' });
    expect(result.gateway).toBe(network.gateway.url);
    expect(result.worker.workerId).toBe(worker.workerId);
    expect(result.steps).toHaveLength(23);
    expect(result.steps.every(({ ok }) => ok)).toBe(true);
    expect(result.receipt.receipt).toMatchObject({ app, context: zeroBytes32, sequence: 1n });
  });

  test('carries the context and the fee limit inside the seal', async () => {
    let seen: unknown;
    worker.run = ({ call: headers }) => {
      seen = { context: headers.context, maxFee: headers.maxFee };
      return {};
    };
    const result = await call({}, { context: bytes32(7), maxFee: 3n });
    expect(seen).toEqual({ context: bytes32(7), maxFee: 3n });
    expect(result.receipt.receipt.context).toBe(bytes32(7));
  });

  test('a proven failure is a result, not an exception', async () => {
    worker.run = () => ({ status: 500, outcome: 'app-error' });
    expect(await call()).toMatchObject({ ok: false, outcome: 'app-error', status: 500 });
    worker.run = () => ({ status: 422, outcome: 'refused', manifest: zeroBytes32, body: [utf8('{}')] });
    expect(await call()).toMatchObject({ ok: false, outcome: 'refused', status: 422 });
  });

  test('what passes the gateway shows neither question nor answer', async () => {
    worker.run = () => ({ body: [utf8('the secret answer')] });
    const seen: Buffer[] = [];
    network.gateway.faults.push(async (to, bytes) => {
      const chunks = await to.serve(bytes);
      seen.push(Buffer.from(bytes), ...chunks.map((chunk) => Buffer.from(chunk)));
      return sealedResponse(chunks);
    });
    await call({ method: 'POST', path: '/secret-path', body: utf8('the secret question') });
    expect(Buffer.concat(seen).includes('secret')).toBe(false);
  });

  test.each([
    [
      'an app that the receipt is not about',
      () => (worker.editReceipt = (receipt) => ({ ...receipt, app: bytes32(9) })),
    ],
    [
      'an answer that is not signed',
      () => (worker.editSigned = (signed) => ({ ...signed, receipt: { ...signed.receipt, epoch: 6n } })),
    ],
    ['a fee that was not allowed', () => (worker.editReceipt = (receipt) => ({ ...receipt, fee: 1n }))],
    ['"ok" by the worker itself', () => (worker.run = () => ({ manifest: zeroBytes32 }))],
    ['another status than any', () => (worker.editReceipt = (receipt) => ({ ...receipt, status: 9 }))],
  ])('is not given out with %s, and not asked for again', async (_, arrange) => {
    arrange();
    await expect(call()).rejects.toMatchObject({ code: 'RECEIPT_REFUSED' });
    expect(calls()).toBe(1);
  });

  test('is not given out with a receipt that is none', async () => {
    worker.editSigned = (signed) => ({ ...signed, more: 1 }) as typeof signed;
    await expect(call()).rejects.toMatchObject({ code: 'SCHEMA_MISMATCH' });
  });

  test('is not given out when it answers another request', async () => {
    let first: Uint8Array[] = [];
    network.gateway.faults.push(
      async (to, bytes) => {
        first = await to.serve(bytes);
        return sealedResponse(first);
      },
      () => sealedResponse(first),
    );
    const one = client();
    await one.call(app);
    await expect(one.call(app)).rejects.toMatchObject({ code: 'RESPONSE_FOREIGN' });
  });

  test("is left at the first byte that is not the worker's, however much follows", async () => {
    let pulled = 0;
    network.gateway.faults.push(async (to, bytes) => {
      const [head = new Uint8Array()] = await to.serve(bytes);
      const body = new ReadableStream<Uint8Array>({
        pull(controller) {
          controller.enqueue(pulled++ === 0 ? head : new Uint8Array(65_536));
        },
      });
      return new Response(body, { headers: { 'content-type': responseMediaType } });
    });
    await expect(call()).rejects.toMatchObject({ code: expect.stringMatching(/^CHUNK_/) });
    expect(pulled).toBeLessThan(10);
    expect(calls()).toBe(1);
  });
});

describe('a connection that breaks', () => {
  test.each([
    ['before its last chunk', loseLastChunk],
    ['in the middle of the answer', breakInAnswer],
    ['after the worker has run it', loseAnswer],
  ])('%s: the same worker is asked again and serves the answer it kept, with the first receipt', async (_, fault) => {
    network.gateway.faults.push(fault);
    const result = await call({ body: utf8('once'), method: 'POST' });
    expect(result.ok).toBe(true);
    expect(text(result.body)).toBe('answer');
    expect(worker.runs).toBe(1);
    expect(result.receipt.receipt.sequence).toBe(1n);
    expect(calls()).toBe(2);
    // Two sealed requests that share no byte string, one call id inside: the receipt opens with the first's salts.
    const [first, second] = network.gateway.calls;
    expect(Buffer.from(first?.bytes ?? []).equals(Buffer.from(second?.bytes ?? []))).toBe(false);
    expect(result.attempt.requestHash).toBe(result.receipt.receipt.requestHash);
  });

  test('again and again: the caller gets an error after four attempts', async () => {
    network.gateway.faults.push(loseLastChunk, breakInAnswer, serverError, loseLastChunk);
    vi.mocked(sleep).mockClear();
    await expect(call()).rejects.toMatchObject({ code: 'RESPONSE_TRUNCATED' });
    expect(calls()).toBe(4);
    // The first repair at once, the next ones after longer and longer pauses.
    const pauses = vi.mocked(sleep).mock.calls.map(([ms]) => ms);
    expect(pauses).toEqual([250, 500]);
    expect(worker.runs).toBe(1);
  });

  test('the worker is verified again before it is asked again', async () => {
    network.gateway.faults.push(async (to, bytes) => {
      network.registries.images.clear();
      return loseLastChunk(to, bytes);
    });
    await expect(call()).rejects.toMatchObject({ code: 'CALL_WORKER_LOST' });
    expect(calls()).toBe(1);
  });

  test('a worker that restarted has lost its answers: named, unless running twice does no harm', async () => {
    const restartAfter: CallFault = async (to, bytes) => {
      await to.serve(bytes);
      await to.restart();
      throw new TypeError('terminated');
    };
    network.gateway.faults.push(restartAfter);
    await expect(call()).rejects.toMatchObject({ code: 'CALL_WORKER_LOST', retry: false });
    expect(worker.runs).toBe(1);

    network.gateway.faults.push(restartAfter);
    const result = await call({}, { idempotent: true });
    expect(result.ok).toBe(true);
    expect(worker.runs).toBe(3);
  });

  test('an idempotent call goes to another worker when one stays silent, any other call never does', async () => {
    const second = await network.addWorker(address(0x0c));
    // Whichever is chosen first stays out of reach from then on.
    let dead: string | undefined;
    const silence: CallFault = (to, bytes) => {
      dead ??= to.workerId;
      return to.workerId === dead ? loseRequest(to, bytes) : to.serve(bytes).then(sealedResponse);
    };
    network.gateway.faults.push(silence, silence, silence, silence);
    const result = await call({}, { idempotent: true });
    expect(result.worker.workerId).not.toBe(dead);
    expect(worker.runs + second.runs).toBe(1);

    network.gateway.faults.length = 0;
    network.gateway.calls.length = 0;
    dead = undefined;
    network.gateway.faults.push(silence, silence, silence, silence);
    await expect(call()).rejects.toMatchObject({ code: 'CALL_CONNECTION_LOST' });
    expect(new Set(network.gateway.calls.map(({ workerId }) => workerId)).size).toBe(1);
    expect(worker.runs + second.runs).toBe(1);
  });
});

describe('a key that is refused', () => {
  test('is fetched and verified anew, and the call made once more', async () => {
    const { keyConfigs } = worker.announcement;
    network.gateway.faults.push(async () => {
      worker.announcement = { ...worker.announcement, keyConfigs: [await worker.newKey(), ...keyConfigs] };
      return keyProblem();
    });
    const result = await call();
    expect(result.ok).toBe(true);
    expect(calls()).toBe(2);
    const [first, second] = network.gateway.calls;
    expect(first?.bytes[0]).not.toBe(second?.bytes[0]);
  });

  test('is retried once, not more: anyone on the way can say so', async () => {
    network.gateway.faults.push(refuseKey, refuseKey, refuseKey, refuseKey);
    await expect(call()).rejects.toMatchObject({ code: 'CALL_KEY_REFUSED' });
    expect(calls()).toBe(2);
  });

  test('by a worker that was started again is said so, and the next call goes to its new process', async () => {
    const known = client();
    await known.call(app);
    await worker.restart();
    // Only the gateway says that it did not run, and whoever it went to is gone.
    await expect(known.call(app)).rejects.toMatchObject({
      code: 'CALL_WORKER_LOST',
      message: expect.stringContaining('refused the key'),
      hint: expect.stringContaining('did not run'),
    });
    expect((await known.call(app)).worker.receiptSigner).toBe(worker.receiptSigner);
    expect(calls()).toBe(3);
  });

  test("a new key that is not the worker's own is not sealed to", async () => {
    network.gateway.faults.push(async () => {
      const foreign = await network.addWorker(address(0x0d));
      network.gateway.workers.delete(foreign.workerId);
      worker.announcement = { ...worker.announcement, keyConfigs: foreign.announcement.keyConfigs };
      return keyProblem();
    });
    await expect(call()).rejects.toMatchObject({ code: 'CALL_WORKER_LOST' });
    expect(calls()).toBe(1);
  });
});

describe('a gateway that does not deliver', () => {
  test('a failure of its own is tried again', async () => {
    network.gateway.faults.push(serverError, loseRequest);
    expect((await call()).ok).toBe(true);
    expect(calls()).toBe(3);
  });

  test.each<[string, CallFault]>([
    ['a refusal', () => new Response('no', { status: 429 })],
    ['a page instead of a sealed answer', () => new Response('<html>', { headers: { 'content-type': 'text/html' } })],
    ['an empty answer', () => new Response(null, { status: 204 })],
    ['a refusal with an endless reason', () => new Response('x'.repeat(100_000), { status: 400 })],
  ])('%s is not', async (_, fault) => {
    network.gateway.faults.push(fault);
    await expect(call()).rejects.toMatchObject({ code: 'CALL_NOT_DELIVERED', retry: false });
    expect(calls()).toBe(1);
  });
});

describe('time', () => {
  const hang: CallFault = () => new Promise<Response>(() => {});
  const hangInBody: CallFault = async (to, bytes) => {
    const [head] = await to.serve(bytes);
    let sent = false;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (sent) return new Promise(() => {});
        sent = true;
        controller.enqueue(head ?? new Uint8Array());
        return undefined;
      },
    });
    return new Response(body, { headers: { 'content-type': responseMediaType } });
  };

  test.each([
    ['nothing comes', hang],
    ['the answer stops in the middle', hangInBody],
  ])('the deadline ends the wait when %s', async (_, fault) => {
    network.gateway.faults.push(fault);
    await expect(call({}, { timeoutMs: 300 })).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED', retry: true });
  });

  test('a deadline while workers are looked for is no lack of workers, for an answer that streams', async () => {
    const { fetch } = network.gateway;
    const endless: typeof fetch = (url, init) =>
      String(url).includes('/v1/workers')
        ? new Promise((_, reject) => {
            init?.signal?.addEventListener('abort', () => reject(init.signal?.reason), { once: true });
          })
        : fetch(url, init);
    const silent = createClient({ network: network.file, fetch: endless });
    const streamed = silent.fetchFor(app, { timeoutMs: 100 })('https://app.test/');
    await expect(streamed).rejects.toMatchObject({ name: 'TimeoutError' });
  });

  test('the caller may give up', async () => {
    network.gateway.faults.push(hang);
    const leaving = new AbortController();
    const waiting = call({}, { signal: leaving.signal });
    await expect.poll(calls).toBe(1);
    leaving.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'ABORTED' });
    expect(network.gateway.left).toBe(1);
    await expect(call({}, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'ABORTED' });
    expect(calls()).toBe(1);
  });
});

describe('what cannot be sent', () => {
  test.each<[string, CallRequest, string]>([
    ['a header that only the protocol may set', { headers: [['x-cloister-app', 'x']] }, 'CALL_HEADER_REFUSED'],
    ['a header with a line break', { headers: [['x-a', 'b\r\nc']] }, 'HEADER_REFUSED'],
    ['a method of proxies', { method: 'CONNECT' }, 'REQUEST_MALFORMED'],
    ['a path that is none', { path: 'x' }, 'REQUEST_MALFORMED'],
  ])('%s', async (_, request, code) => {
    await expect(call(request)).rejects.toMatchObject({ code });
    expect(calls()).toBe(0);
  });

  test('headers of the connection are left out, names go in lower case', async () => {
    let seen: unknown;
    worker.run = ({ request }) => {
      seen = request.headers;
      return {};
    };
    await call({
      headers: [
        ['X-Mine', '1'],
        ['Connection', 'close'],
        ['Content-Length', '7'],
        ['Host', 'example.org'],
        ['Transfer-Encoding', 'chunked'],
      ],
    });
    expect(seen).toEqual([['x-mine', '1']]);
  });
});

test('statuses are what receipts know', () => {
  expect(Object.keys(receiptStatuses)).toEqual(['ok', 'app-error', 'limit', 'refused']);
});
