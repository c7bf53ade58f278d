import { responseMediaType } from '@cloister/channel/client';
import { utf8 } from '@cloister/crypto';
import { createClient } from '@cloister/sdk';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { bytes32, type CallFault, SimulatedNetwork, type StubWorker, sealedResponse } from './simulatedNetwork.ts';

// Pauses between attempts are as long as they say, but pass at once.
vi.mock('@cloister/core', async (original) => {
  const core = await original<typeof import('@cloister/core')>();
  return { ...core, sleep: vi.fn((_ms: number, signal?: AbortSignal) => core.sleep(0, signal)) };
});

let network: SimulatedNetwork;
let worker: StubWorker;
let app: `0x${string}`;
let sealed: typeof globalThis.fetch;
type Seen = { method: string; path: string; headers: readonly (readonly [string, string])[]; body: string };
let seen: Seen[];

beforeEach(async () => {
  network = await SimulatedNetwork.start();
  worker = await network.addWorker();
  ({ app } = network.addApp({ limits: { wallMs: 1_000 } }));
  sealed = createClient({ network: network.file, fetch: network.gateway.fetch }).fetchFor(app, { timeoutMs: 5_000 });
  seen = [];
  worker.run = ({ request }) => {
    seen.push({ ...request, body: new TextDecoder().decode(request.body) });
    return { headers: [['content-type', 'text/plain']], body: [utf8('part one, '), utf8('part two')] };
  };
});
afterEach(() => network.stop());

const url = 'https://app.example/items?id=7#fragment';

/** The answer's first chunks now, the rest when `release` is called. */
function holdBack(count: number): { fault: CallFault; release: () => void; cancelled: () => boolean } {
  let release: () => void = () => {};
  let cancelled = false;
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const fault: CallFault = async (to, bytes) => {
    const chunks = await to.serve(bytes);
    let at = 0;
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        if (at === count) await held;
        const chunk = chunks[at++];
        if (chunk === undefined) controller.close();
        else controller.enqueue(chunk);
      },
      cancel() {
        cancelled = true;
      },
    });
    return new Response(body, { headers: { 'content-type': responseMediaType } });
  };
  return { fault, release: () => release(), cancelled: () => cancelled };
}

describe('as a plain fetch', () => {
  test('GET', async () => {
    const response = await sealed(url);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('text/plain');
    expect(await response.text()).toBe('part one, part two');
    expect(seen).toEqual([{ method: 'GET', path: '/items?id=7', headers: [], body: '' }]);
  });

  test('POST of JSON, from a Request, with headers of the connection left out', async () => {
    const request = new Request(url, {
      method: 'POST',
      body: JSON.stringify({ a: 1 }),
      headers: { 'content-type': 'application/json', authorization: 'Bearer x' },
    });
    // What an HTTP client would set by itself; a Request refuses to carry them.
    const headers = new Headers(request.headers);
    for (const name of ['connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'host', 'content-length'])
      headers.set(name, '1');
    await (await sealed(request, { headers })).text();
    expect(seen[0]).toMatchObject({ method: 'POST', body: '{"a":1}' });
    expect(seen[0]?.headers.map(([name]) => name).sort()).toEqual(['authorization', 'content-type']);
  });

  test('other methods, and a stream as body', async () => {
    const body = new ReadableStream({
      start(controller) {
        controller.enqueue(utf8('streamed '));
        controller.enqueue(utf8('body'));
        controller.close();
      },
    });
    await (await sealed(url, { method: 'PUT', body, duplex: 'half' } as RequestInit)).text();
    await (await sealed(url, { method: 'DELETE' })).text();
    expect(seen.map(({ method, body: text }) => `${method} ${text}`)).toEqual(['PUT streamed body', 'DELETE ']);
  });

  test('HEAD, 204 and 304 have no body', async () => {
    const head = await sealed(url, { method: 'HEAD' });
    expect(head.body).toBeNull();
    for (const status of [204, 205, 304]) {
      worker.run = () => ({ status });
      const response = await sealed(url);
      expect(response.status).toBe(status);
      expect(response.body).toBeNull();
    }
  });

  test('an answer that says no is an answer', async () => {
    worker.run = () => ({ status: 404, outcome: 'refused', body: [utf8('no such item')] });
    const response = await sealed(url);
    expect(response.ok).toBe(false);
    expect(await response.text()).toBe('no such item');
  });

  test('the body comes while it is made', async () => {
    const { fault, release } = holdBack(2);
    network.gateway.faults.push(fault);
    const response = await sealed(url);
    const reader = response.body?.getReader() ?? expect.fail();
    expect(new TextDecoder().decode((await reader.read()).value)).toBe('part one, ');
    release();
    expect(new TextDecoder().decode((await reader.read()).value)).toBe('part two');
    expect((await reader.read()).done).toBe(true);
  });
});

describe('an answer without a receipt that holds', () => {
  const bad = () => {
    worker.editReceipt = (receipt) => ({ ...receipt, outputCommitment: bytes32(0xee) });
  };
  const truncated: CallFault = async (to, bytes) => sealedResponse((await to.serve(bytes)).slice(0, -1));

  test('fails at its end', async () => {
    bad();
    const response = await sealed(url);
    const reader = response.body?.getReader() ?? expect.fail();
    await reader.read();
    await reader.read();
    await expect(reader.read()).rejects.toMatchObject({ code: 'RECEIPT_REFUSED' });
    await expect((await sealed(url)).text()).rejects.toMatchObject({ code: 'RECEIPT_REFUSED' });
  });

  test('fails at its end when it was cut off', async () => {
    network.gateway.faults.push(truncated);
    await expect((await sealed(url)).text()).rejects.toMatchObject({
      code: 'CALL_ANSWER_INCOMPLETE',
      retry: false,
      hint: expect.stringContaining('only if running twice is safe'),
      cause: expect.objectContaining({ code: 'RESPONSE_TRUNCATED' }),
    });
    network.gateway.faults.push(truncated);
    const idempotent = createClient({ network: network.file, fetch: network.gateway.fetch }).fetchFor(app, {
      idempotent: true,
    });
    await expect((await idempotent(url)).text()).rejects.toMatchObject({ code: 'CALL_ANSWER_INCOMPLETE', retry: true });
  });

  test.each([
    ['a bad receipt', 'RECEIPT_REFUSED', () => bad()],
    ['no last chunk', 'CALL_ANSWER_INCOMPLETE', () => void network.gateway.faults.push(truncated)],
  ])('is not given out at all where it has no body: %s', async (_, code, arrange) => {
    worker.run = () => ({ status: 204 });
    arrange();
    await expect(sealed(url)).rejects.toMatchObject({ code });
    worker.run = () => ({});
    arrange();
    await expect(sealed(url, { method: 'HEAD' })).rejects.toMatchObject({ code });
  });
});

describe('an event stream', () => {
  const events = ['data: {"n":1}\n\n', 'data: {"n":2}\n\n', 'data: [DONE]\n\n', ': filled\n\n'];
  const streams = (parts: readonly string[], type = 'text/event-stream; charset=utf-8') => {
    worker.run = () => ({ headers: [['content-type', type]], body: parts.map((part) => utf8(part)) });
  };
  /** What a client reads that stops at the last event, as OpenAI's does, and how its reading ended. */
  async function readToDone(): Promise<{ text: string; error?: unknown }> {
    const reader = (await sealed(url)).body?.pipeThrough(new TextDecoderStream()).getReader() ?? expect.fail();
    let text = '';
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return { text };
        text += value;
        if (/data: ?\[DONE\]/.test(text)) return { text };
      }
    } catch (error) {
      return { text, error };
    }
  }
  const lastLess: CallFault = async (to, bytes) => sealedResponse((await to.serve(bytes)).slice(0, -1));

  test.each([
    ['in events', events],
    ['in bytes', [...events.join('')]],
    ['in one piece', [events.join('')]],
    ['with carriage returns', events.map((event) => event.replaceAll('\n', '\r\n'))],
    [
      'with carriage returns alone, and no spaces',
      events.map((event) => event.replaceAll('\n', '\r').replace(': ', ':')),
    ],
  ])('%s is given out whole, and its last event not before the receipt holds', async (_, parts) => {
    streams(parts);
    expect(await (await sealed(url)).text()).toBe(parts.join(''));
    network.gateway.faults.push(lastLess);
    const { text, error } = await readToDone();
    expect(error).toMatchObject({ code: 'CALL_ANSWER_INCOMPLETE' });
    expect(text).toBe(parts.join('').split(/data: ?\[DONE/)[0]);
    worker.editReceipt = (receipt) => ({ ...receipt, outputCommitment: bytes32(0xee) });
    expect((await readToDone()).error).toMatchObject({ code: 'RECEIPT_REFUSED' });
  });

  test('that only speaks of its end passes at once', async () => {
    const [first = '', ...others] = ['data: x data: [DONE]\n', 'data: [DON\n', 'data', ': more\n\n'];
    streams([first, ...others]);
    const { fault, release } = holdBack(2);
    network.gateway.faults.push(fault);
    const reader = (await sealed(url)).body?.getReader() ?? expect.fail();
    expect(new TextDecoder().decode((await reader.read()).value)).toBe(first);
    release();
    let text = '';
    for (let next = await reader.read(); !next.done; next = await reader.read())
      text += new TextDecoder().decode(next.value);
    expect(text).toBe(others.join(''));
  });

  test('that goes on without end after its last event is refused', async () => {
    streams([...events, ':'.repeat(70_000)]);
    await expect((await sealed(url)).text()).rejects.toThrow('follow the last event');
  });

  test('of another type is not held', async () => {
    streams(events, 'text/plain');
    network.gateway.faults.push(lastLess);
    expect((await readToDone()).text).toContain('[DONE]');
  });
});

describe('an answer that the app did not finish', () => {
  test('never ends like a whole one', async () => {
    worker.run = () => ({ body: [utf8('half of ')], outcome: 'limit' });
    const response = await sealed(url);
    const reader = response.body?.getReader() ?? expect.fail();
    expect(new TextDecoder().decode((await reader.read()).value)).toBe('half of ');
    await expect(reader.read()).rejects.toThrow('did not finish its answer: limit');
    worker.run = () => ({ status: 204, outcome: 'limit' });
    await expect(sealed(url)).rejects.toThrow('did not finish its answer: limit');
  });

  test('but that says itself that it failed is given as it is', async () => {
    worker.run = () => ({ status: 500, body: [utf8('sorry')], outcome: 'app-error' });
    expect(await (await sealed(url)).text()).toBe('sorry');
  });
});

describe('leaving', () => {
  test('what breaks before the first byte is repaired unseen', async () => {
    network.gateway.faults.push(() => {
      throw new TypeError('fetch failed');
    });
    expect(await (await sealed(url)).text()).toBe('part one, part two');
    expect(network.gateway.calls).toHaveLength(2);
  });

  test('what keeps breaking is given up with its own error', async () => {
    const lost: CallFault = () => {
      throw new TypeError('fetch failed');
    };
    network.gateway.faults.push(lost, lost, lost, lost);
    await expect(sealed(url)).rejects.toMatchObject({ code: 'CALL_CONNECTION_LOST' });
    expect(network.gateway.calls).toHaveLength(4);
  });

  test('an abort rejects with its reason, before and while the answer comes', async () => {
    await expect(sealed(url, { signal: AbortSignal.abort() })).rejects.toThrow();
    const leaving = new AbortController();
    const { fault } = holdBack(2);
    network.gateway.faults.push(fault);
    const response = await sealed(url, { signal: leaving.signal });
    const reader = response.body?.getReader() ?? expect.fail();
    await reader.read();
    leaving.abort(new Error('enough'));
    await expect(reader.read()).rejects.toThrow('enough');
  });

  test('who cancels the body lets the connection go', async () => {
    const { fault, cancelled } = holdBack(2);
    network.gateway.faults.push(fault);
    const response = await sealed(url);
    const reader = response.body?.getReader() ?? expect.fail();
    await reader.read();
    // By then the next part is being waited for.
    await new Promise((resolve) => setTimeout(resolve, 20));
    await reader.cancel();
    await expect.poll(cancelled).toBe(true);
  });

  test('a deadline holds for streamed answers too', async () => {
    const { app } = network.addApp();
    const hasty = createClient({ network: network.file, fetch: network.gateway.fetch }).fetchFor(app, {
      timeoutMs: 300,
    });
    network.gateway.faults.push(() => new Promise<Response>(() => {}));
    await expect(hasty(url)).rejects.toMatchObject({ name: 'TimeoutError' });
    const { fault } = holdBack(1);
    network.gateway.faults.push(fault);
    await expect((await hasty(url)).text()).rejects.toMatchObject({ name: 'TimeoutError' });
  });
});
