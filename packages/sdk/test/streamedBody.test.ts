import { utf8 } from '@cloister/crypto';
import { createClient } from '@cloister/sdk';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { keyProblem, SimulatedNetwork, type StubWorker } from './simulatedNetwork.ts';

let network: SimulatedNetwork;
let worker: StubWorker;
let app: `0x${string}`;

beforeEach(async () => {
  network = await SimulatedNetwork.start();
  worker = await network.addWorker();
  ({ app } = network.addApp({ limits: { wallMs: 5_000, inputBytes: 1_000_000 } }));
  worker.run = ({ request }) => ({ body: [utf8('heard '), request.body] });
});
afterEach(() => network.stop());

const client = () => createClient({ network: network.file, fetch: network.gateway.fetch });
const send = (body: ReadableStream<Uint8Array>) => client().call(app, { method: 'POST', body });
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

function streamOf(parts: Iterable<Uint8Array>, state: { cancelled?: boolean } = {}): ReadableStream<Uint8Array> {
  const iterator = parts[Symbol.iterator]();
  return new ReadableStream({
    pull(controller) {
      const next = iterator.next();
      if (next.done) controller.close();
      else controller.enqueue(next.value);
    },
    cancel() {
      state.cancelled = true;
    },
  });
}

describe('a streamed body', () => {
  test('arrives whole, is bound by the receipt, and is not kept', async () => {
    const result = await send(streamOf([utf8('a'), utf8(''), utf8('bc'), new Uint8Array(200_000).fill(100)]));
    expect(result.ok).toBe(true);
    expect(text(result.body)).toBe(`heard abc${'d'.repeat(200_000)}`);
    expect(result.request.body).toEqual(new Uint8Array());
    expect(result.receipt.details.request).toMatchObject({ whole: true });
    expect(result.receipt.receipt.requestHash).toBe(result.attempt.requestHash);
  });

  test('through fetch, and an empty one', async () => {
    const sealed = client().fetchFor(app);
    const init = { method: 'POST', body: streamOf([utf8('x')]), duplex: 'half' } as RequestInit;
    expect(await (await sealed('https://app.example/', init)).text()).toBe('heard x');
    expect(text((await send(streamOf([]))).body)).toBe('heard ');
  });

  test.each([
    ['by http, which never speaks HTTP/2 there, whole', ['http://127.0.0.1:1'], 'message/cloister-req'],
    ['by https as it comes', ['https://gateway.example'], 'message/cloister-req-stream'],
    [
      'whole where any gateway is reached by http',
      ['https://gateway.example', 'http://127.0.0.1:1'],
      'message/cloister-req',
    ],
  ])('in a browser goes %s', async (_, gateways, type) => {
    vi.stubGlobal('isSecureContext', true);
    try {
      const types: (string | null)[] = [];
      const toStub: typeof fetch = (input, init) => {
        const request = new Request(input, init);
        if (request.method === 'POST') types.push(request.headers.get('content-type'));
        return network.gateway.fetch(String(input).replace(/^https?:..[^/]+/, network.gateway.url), init);
      };
      const result = await createClient({ network: network.file, gateways, fetch: toStub }).call(app, {
        ...{ method: 'POST', body: streamOf([utf8('a'), utf8('b')]) },
      });
      expect(text(result.body)).toBe('heard ab');
      expect(types).toEqual([type]);
    } finally {
      vi.unstubAllGlobals();
    }
  });

  test('may be taken in part alone: the receipt is of that part', async () => {
    worker.takesBytes = 50_000;
    const result = await send(streamOf([new Uint8Array(50_000), new Uint8Array(50_000)]));
    expect(result.receipt.details.request).toMatchObject({ whole: false });
    expect(result.body.length).toBeLessThan(100_000);
  });

  test.each<[string, (receipt: { requestHash: `0x${string}`; inputCommitment: `0x${string}` }) => object]>([
    ['another request', (receipt) => ({ requestHash: receipt.inputCommitment })],
    ['another body', (receipt) => ({ inputCommitment: receipt.requestHash })],
  ])('with a receipt of %s is refused', async (_, change) => {
    worker.editReceipt = (receipt) => ({ ...receipt, ...change(receipt) });
    await expect(send(streamOf([utf8('x')]))).rejects.toMatchObject({ code: 'RECEIPT_REFUSED' });
  });

  test('of which the receipt names more chunks than were sent is refused', async () => {
    const run = worker.run;
    worker.run = async (opened) => ({ ...(await run(opened)), details: { request: { chunks: 9, whole: true } } });
    await expect(send(streamOf([utf8('x')]))).rejects.toMatchObject({ code: 'RECEIPT_REFUSED' });
  });

  test('is not sent twice: what breaks once it was taken is an error with a name', async () => {
    network.gateway.faults.push(async (to, bytes) => {
      await to.serveStreamed(bytes);
      throw new TypeError('fetch failed');
    });
    await expect(send(streamOf([utf8('x')]))).rejects.toMatchObject({ code: 'CALL_BODY_CONSUMED', retry: false });
    expect(network.gateway.calls).toHaveLength(1);
  });

  test('is bounded by the manifest, and its source is let go', async () => {
    const state = { cancelled: false };
    const parts = Array.from({ length: 30 }, () => new Uint8Array(50_000));
    await expect(send(streamOf(parts, state))).rejects.toMatchObject({ code: 'CALL_BODY_TOO_LARGE' });
    expect(state.cancelled).toBe(true);
    expect(worker.runs).toBe(0);
  });

  test('whose source fails says so, with the reason', async () => {
    const broken = new Error('disk gone');
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        controller.error(broken);
      },
    });
    await expect(send(body)).rejects.toMatchObject({ code: 'CALL_BODY_FAILED', cause: broken });
    expect(worker.runs).toBe(0);
  });

  test('that is in use, or goes with a GET, is refused', async () => {
    const body = streamOf([utf8('x')]);
    await expect(client().call(app, { body })).rejects.toMatchObject({ code: 'CALL_BODY_REFUSED' });
    body.getReader();
    await expect(send(body)).rejects.toMatchObject({ code: 'CALL_BODY_REFUSED' });
  });
});

describe('a streamed body that was sealed to a key which is over', () => {
  /** A client that knows the worker's key, which then changes. */
  const stale = async (options: Partial<Parameters<typeof createClient>[0]> = {}) => {
    const known = createClient({ network: network.file, fetch: network.gateway.fetch, ...options });
    await known.call(app);
    worker.keys.wipe();
    worker.announcement = { ...worker.announcement, keyConfigs: [await worker.newKey()] };
    network.gateway.calls.length = 0;
    worker.runs = 0;
    return known;
  };
  const MiB = 1024 * 1024;

  test('is sent again to the new key, all of it, and runs once', async () => {
    const known = await stale();
    const parts = [utf8('a'), new Uint8Array(200_000).fill(100), utf8('c')];
    const result = await known.call(app, { method: 'POST', body: streamOf(parts) });
    expect(text(result.body)).toBe(`heard a${'d'.repeat(200_000)}c`);
    expect(result.receipt.details.request).toMatchObject({ whole: true });
    expect([network.gateway.calls.length, worker.runs]).toEqual([2, 1]);
  });

  test('loses nothing of what comes while the first request is refused', async () => {
    let source: ReadableStreamDefaultController<Uint8Array> | undefined;
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        source = controller;
        controller.enqueue(utf8('one '));
      },
    });
    let asked = 0;
    const fetch: typeof globalThis.fetch = async (input, init) => {
      if (!(init?.body instanceof ReadableStream) || asked++ > 0) return network.gateway.fetch(input, init);
      const reader = init.body.getReader();
      for (let read = 0; read < 2; read++) await reader.read();
      // The first request waits for more of the body when it is refused, and is left like that.
      reader.read().catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, 0));
      queueMicrotask(() => {
        source?.enqueue(utf8('two'));
        source?.close();
      });
      return keyProblem();
    };
    const known = createClient({ network: network.file, fetch });
    const result = await known.call(app, { method: 'POST', body });
    expect(text(result.body)).toBe('heard one two');
  });

  test('is refused by name where more was taken than is held, and the next call goes to the new key', async () => {
    ({ app } = network.addApp({ limits: { wallMs: 5_000, inputBytes: 16 * MiB } }));
    const known = await stale();
    const long = streamOf(Array.from({ length: 9 }, () => new Uint8Array(MiB)));
    const call = known.call(app, { method: 'POST', body: long });
    await expect(call).rejects.toMatchObject({
      code: 'CALL_KEY_REFUSED',
      retry: false,
      message: expect.stringContaining(`"${9 * MiB}" bytes`),
      hint: expect.stringContaining('it did not run'),
    });
    expect([network.gateway.calls.length, worker.runs]).toEqual([1, 0]);
    expect(text((await known.call(app, { method: 'POST', body: streamOf([utf8('x')]) })).body)).toBe('heard x');
    expect([network.gateway.calls.length, worker.runs]).toEqual([2, 1]);
  });

  test('is sent again once: who says so twice gets no third', async () => {
    network.gateway.faults.push(
      () => keyProblem(),
      () => keyProblem(),
    );
    await expect(send(streamOf([utf8('x')]))).rejects.toMatchObject({ code: 'CALL_KEY_REFUSED', retry: false });
    expect(network.gateway.calls).toHaveLength(2);
  });

  test('as a relay lies that has delivered it: the worker’s answer to the first request holds', async () => {
    network.gateway.faults.push(async (to, bytes) => {
      await to.serveStreamed(bytes);
      return keyProblem();
    });
    const result = await send(streamOf([utf8('x')]));
    expect([text(result.body), worker.runs]).toEqual(['heard x', 1]);
    expect(result.receipt.receipt.requestHash).toBe(result.attempt.requestHash);
    expect(Object.keys(result.attempt).sort()).toEqual(['inputSalt', 'outputSalt', 'requestHash']);
  });

  test('of a session, of which nothing can have been said yet, is begun with again', async () => {
    const begun: EventTarget[] = [];
    class Socket extends EventTarget {
      readyState = 1;
      bufferedAmount = 0;
      constructor() {
        super();
        begun.push(this);
        setTimeout(() => this.dispatchEvent(new Event('open')));
      }
      send() {
        const head = { status: begun[0] === this ? 400 : 404, contentType: 'application/problem+json' };
        const type = head.status === 400 ? 'https://iana.org/assignments/http-problem-types#ohttp-key' : 'about:blank';
        const hear = (data: unknown) => this.dispatchEvent(new MessageEvent('message', { data }));
        setTimeout(() => {
          hear(JSON.stringify(head));
          hear(utf8(JSON.stringify({ type })).buffer);
          this.dispatchEvent(Object.assign(new Event('close'), { code: 1000, reason: '' }));
        });
      }
      close() {}
    }
    const known = await stale({ webSocket: Socket as unknown as typeof WebSocket });
    const socket = known.connectWebSocket(app, '/');
    const error = await new Promise<unknown>((resolve) => {
      socket.onerror = (event) => resolve(event.error);
    });
    expect(begun).toHaveLength(2);
    expect(error).toMatchObject({ code: 'CALL_NOT_DELIVERED', message: expect.stringContaining('404') });
  });
});

test('a connection that is lost before any of the body was taken is tried again', async () => {
  let lost = 0;
  const fetch: typeof globalThis.fetch = async (input, init) => {
    if (!(init?.body instanceof ReadableStream) || lost++ > 0) return network.gateway.fetch(input, init);
    await init.body.cancel();
    throw new TypeError('fetch failed');
  };
  const body = streamOf([utf8('x')]);
  const result = await createClient({ network: network.file, fetch }).call(app, { method: 'POST', body });
  expect([text(result.body), worker.runs]).toEqual(['heard x', 1]);
});
