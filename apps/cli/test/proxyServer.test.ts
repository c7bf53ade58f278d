import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { type Bytes32, CloisterError, freePrice } from '@cloister/core';
import { utf8 } from '@cloister/crypto';
import { createClient } from '@cloister/sdk';
import { ExactEvmScheme } from '@x402/evm/exact/client';
import { wrapFetchWithPayment, x402Client } from '@x402/fetch';
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { bytes32, SimulatedNetwork, type StubWorker } from '../../../packages/sdk/test/simulatedNetwork.ts';
import { settledAnswer, stubMoney, transaction } from '../../../packages/sdk/test/x402Parts.ts';
import { defaultProxyInit, type ProxyInit, ProxyServer } from '../src/proxy/proxyServer.ts';

let network: SimulatedNetwork;
let worker: StubWorker;
let app: Bytes32;
let client: ReturnType<typeof createClient>;
let seen: { method: string; path: string; headers: readonly (readonly [string, string])[]; body: string }[];
let notes: string[];
const running: ProxyServer[] = [];

beforeEach(async () => {
  network = await SimulatedNetwork.start();
  worker = await network.addWorker();
  ({ app } = network.addApp({ limits: { wallMs: 1_000 } }));
  client = createClient({ network: network.file, fetch: network.gateway.fetch });
  seen = [];
  notes = [];
  worker.run = ({ request }) => {
    seen.push({ ...request, body: new TextDecoder().decode(request.body) });
    return { headers: [['content-type', 'text/plain']], body: [utf8('part one, '), utf8('part two')] };
  };
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((proxy) => proxy.stop()));
  await network.stop();
});

class NoSuchApp extends CloisterError<'REGISTRY_APP_UNKNOWN'> {}

async function start(init: Partial<ProxyInit> = {}): Promise<{ proxy: ProxyServer; url: string }> {
  const proxy = new ProxyServer(
    {
      exchangeFor: (id) => client.exchangeFor(id, { timeoutMs: 5_000 }),
      resolveApp: async (text) => {
        if (text === 'my app' || text === app) return app;
        throw new NoSuchApp({ code: 'REGISTRY_APP_UNKNOWN', message: `No app "${text}"` });
      },
      proofOf: (receipt) => client.proofOfExchange(receipt),
      note: (line) => notes.push(line),
    },
    { ...defaultProxyInit, drainMs: 300, ...init },
  );
  running.push(proxy);
  return { proxy, url: await proxy.start() };
}

const codeOf = async (response: Response) => ((await response.json()) as { error: { code: string } }).error.code;

/** As `fetch`, with the trailers, and headers that `fetch` sets itself. */
async function raw(
  url: string,
  headers: Record<string, string> = {},
): Promise<{ answer: IncomingMessage; body: string }> {
  const request = httpRequest(url, { headers }).end();
  const [answer] = (await once(request, 'response')) as [IncomingMessage];
  let body = '';
  for await (const part of answer.setEncoding('utf8')) body += part;
  return { answer, body };
}

describe('a plain HTTP client through the proxy', () => {
  test('calls an app, sealed, and hears that the receipt holds and where its proof is', async () => {
    const { url } = await start();
    const response = await fetch(`${url}/${app}/items?id=7`, {
      method: 'POST',
      body: 'the question',
      headers: { 'content-type': 'text/x-question', authorization: 'Bearer x' },
    });
    expect([response.status, await response.text()]).toEqual([200, 'part one, part two']);
    expect(seen).toMatchObject([{ method: 'POST', path: '/items?id=7', body: 'the question' }]);
    const names = seen[0]?.headers.map(([name]) => name) ?? [];
    expect(names).toEqual(expect.arrayContaining(['authorization', 'content-type']));
    for (const own of ['host', 'connection', 'content-length']) expect(names).not.toContain(own);
    const header = (name: string) => response.headers.get(name);
    expect([header('x-cloister-receipt'), header('x-cloister-outcome'), header('x-cloister-payment')]).toEqual([
      'ok',
      'ok',
      'free',
    ]);
    expect([header('x-cloister-worker'), header('content-type')]).toEqual([worker.workerId, 'text/plain']);
    const proof = await (await fetch(`${url}/.cloister/proofs/${header('x-cloister-proof')}`)).json();
    expect((await client.verify(proof, { app })).ok).toBe(true);
    const outside = network.gateway.calls.map(({ bytes }) => Buffer.from(bytes).toString('latin1')).join();
    expect(outside).not.toContain('the question');
    expect(notes.join()).not.toMatch(/id=7|question/);
  });

  test('finds an app by its name, or needs none where the proxy is for one app', async () => {
    const { url } = await start();
    await (await fetch(`${url}/my%20app`)).text();
    await (await fetch(`${url}/my%20app?a=1`)).text();
    const one = await start({ app: 'my app' });
    await (await fetch(`${one.url}/v1/${app}`)).text();
    expect(seen.map(({ path }) => path)).toEqual(['/', '/?a=1', `/v1/${app}`]);
  });

  test('gets what the app refuses as the app said it, with the receipt of that', async () => {
    worker.run = () => ({ status: 404, outcome: 'refused', body: [utf8('no such item')] });
    const response = await fetch(`${(await start()).url}/${app}/`);
    expect([response.status, await response.text()]).toEqual([404, 'no such item']);
    expect(response.headers.get('x-cloister-outcome')).toBe('refused');
  });

  test('HEAD has no body', async () => {
    const response = await fetch(`${(await start()).url}/${app}/`, { method: 'HEAD' });
    expect([response.status, response.headers.get('x-cloister-receipt'), await response.text()]).toEqual([
      200,
      'ok',
      '',
    ]);
  });

  test('gets a stream as it is made, and what is proven in its trailers', async () => {
    worker.run = () => ({
      headers: [['content-type', 'text/event-stream']],
      body: [utf8('data: 1\n\n'), utf8('data: 2\n\n')],
    });
    const { url } = await start();
    const { answer, body } = await raw(`${url}/${app}/`);
    expect(body).toBe('data: 1\n\ndata: 2\n\n');
    expect(answer.headers['x-cloister-receipt']).toBe('trailer');
    expect(answer.trailers).toMatchObject({ 'x-cloister-receipt': 'ok', 'x-cloister-worker': worker.workerId });
    worker.run = ({ request }) => {
      expect(request.headers.map(([name]) => name)).not.toContain('x-cloister-stream');
      return { body: [utf8('asked for')] };
    };
    const asked = await raw(`${url}/${app}/`, { 'x-cloister-stream': '1' });
    expect([asked.body, asked.answer.trailers['x-cloister-receipt']]).toEqual(['asked for', 'ok']);
  });
});

describe('an answer that is not proven', () => {
  test('is a 502 with a named error, and none of it is shown', async () => {
    worker.editReceipt = (receipt) => ({ ...receipt, outputCommitment: bytes32(1) });
    const response = await fetch(`${(await start()).url}/${app}/`);
    const text = await response.text();
    expect([response.status, response.headers.get('x-cloister-receipt')]).toEqual([502, 'none']);
    expect(JSON.parse(text)).toMatchObject({ error: { code: 'RECEIPT_REFUSED', hint: expect.any(String) } });
    expect(text).not.toContain('part one');
  });

  test('that streams is cut off before its end', async () => {
    worker.editReceipt = (receipt) => ({ ...receipt, outputCommitment: bytes32(1) });
    const response = await fetch(`${(await start()).url}/${app}/`, { headers: { 'x-cloister-stream': '1' } });
    expect(response.status).toBe(200);
    await expect(response.text()).rejects.toThrow();
  });

  test('because there is no worker, or no gateway passes anything on, is a 502 too', async () => {
    const { url } = await start();
    network.gateway.faults.push(...Array.from({ length: 4 }, () => () => new Response('no', { status: 404 })));
    expect(await codeOf(await fetch(`${url}/${app}/`))).toBe('CALL_NOT_DELIVERED');
    network.gateway.workers.clear();
    client = createClient({ network: network.file, fetch: network.gateway.fetch });
    const response = await fetch(`${(await start()).url}/${app}/`);
    expect([response.status, await codeOf(response)]).toEqual([502, 'CALL_NO_WORKER']);
  });

  test.each([1, 50])('in time is a 504, whatever it was at after %i ms', async (timeoutMs) => {
    network.gateway.faults.push(() => new Promise(() => {}));
    client.exchangeFor = (
      (exchangeFor) => (id: Bytes32) =>
        exchangeFor.call(client, id, { timeoutMs })
    )(client.exchangeFor);
    const response = await fetch(`${(await start()).url}/${app}/`);
    expect(response.status).toBe(504);
  });
});

describe('the proxy refuses, before anything is sent,', () => {
  test.each<[string, string, Record<string, string>, number, string]>([
    ['what a web page asks for', '/my%20app', { origin: 'https://evil.example' }, 403, 'PROXY_BROWSER_REFUSED'],
    ['what an image of a page asks for', '/my%20app', { 'sec-fetch-site': 'cross-site' }, 403, 'PROXY_BROWSER_REFUSED'],
    ["what another's DNS points here", '/my%20app', { host: 'evil.example:80' }, 403, 'PROXY_HOST_REFUSED'],
    ['a path without an app', '/', {}, 404, 'PROXY_NO_APP'],
    ['an app that there is not', '/none/x', {}, 404, 'REGISTRY_APP_UNKNOWN'],
    ['a proof that it does not have', '/.cloister/proofs/0x12', {}, 404, 'PROXY_PROOF_UNKNOWN'],
    ['headers of the protocol itself', '/my%20app', { 'x-cloister-max-fee': '9' }, 400, 'CALL_HEADER_REFUSED'],
  ])('%s', async (_, path, headers, status, code) => {
    const { answer, body } = await raw(`${(await start()).url}${path}`, headers);
    expect([answer.statusCode, JSON.parse(body).error.code]).toEqual([status, code]);
    expect(network.gateway.calls).toEqual([]);
  });

  test('bodies beyond its bound', async () => {
    const { url } = await start({ maxBodyBytes: 1_000 });
    const response = await fetch(`${url}/${app}/`, { method: 'POST', body: 'x'.repeat(1_001) });
    expect([response.status, await codeOf(response)]).toEqual([413, 'PROXY_BODY_TOO_LARGE']);
    expect(network.gateway.calls).toEqual([]);
  });

  test('more requests at once than it may hold', async () => {
    let release: () => void = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { run } = worker;
    worker.run = async (opened) => {
      await held;
      return run(opened);
    };
    const { url } = await start({ maxAtOnce: 1 });
    const first = fetch(`${url}/${app}/`);
    await expect.poll(() => network.gateway.calls.length).toBe(1);
    const second = await fetch(`${url}/${app}/`);
    expect([second.status, await codeOf(second)]).toEqual([503, 'PROXY_BUSY']);
    release();
    expect((await first).status).toBe(200);
  });

  test('to hold back an answer beyond its bound; as a stream it comes', async () => {
    const { url } = await start({ maxHeldBytes: 10 });
    const response = await fetch(`${url}/${app}/`);
    expect([response.status, await codeOf(response)]).toEqual([502, 'PROXY_ANSWER_TOO_LARGE']);
    const streamed = await fetch(`${url}/${app}/`, { headers: { 'x-cloister-stream': '1' } });
    expect(await streamed.text()).toBe('part one, part two');
  });

  test('a port that is taken', async () => {
    const { url } = await start();
    await expect(start({ port: Number(new URL(url).port) })).rejects.toMatchObject({ code: 'PROXY_CANNOT_LISTEN' });
    running.pop();
  });
});

describe('whoever leaves', () => {
  test('is not waited for: the call is given up', async () => {
    network.gateway.faults.push(() => new Promise(() => {}));
    const { url } = await start();
    const leaving = new AbortController();
    const request = fetch(`${url}/${app}/`, { signal: leaving.signal });
    await expect.poll(() => network.gateway.calls.length).toBe(1);
    leaving.abort();
    await expect(request).rejects.toThrow();
    await expect.poll(() => network.gateway.left).toBe(1);
  });

  test('the proxy itself ends what is under way first, and cuts off what takes too long', async () => {
    const { url, proxy } = await start();
    let release: () => void = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { run } = worker;
    worker.run = async (opened) => {
      await held;
      return run(opened);
    };
    const under = fetch(`${url}/${app}/`);
    await expect.poll(() => network.gateway.calls.length).toBe(1);
    const stopped = proxy.stop();
    release();
    expect((await under).status).toBe(200);
    await stopped;
    await expect(fetch(url)).rejects.toThrow();

    network.gateway.faults.push(() => new Promise(() => {}));
    const slow = await start();
    const cut = fetch(`${slow.url}/${app}/`).then(
      ({ status }) => status,
      () => 0,
    );
    await expect.poll(() => network.gateway.calls.length).toBe(2);
    await slow.proxy.stop();
    expect([0, 502]).toContain(await cut);
  });

  test('in the middle of a request costs nothing', async () => {
    const { url, proxy } = await start();
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    await once(socket, 'connect');
    socket.write(`POST /${app}/ HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 100\r\n\r\nhalf`);
    socket.destroy();
    await proxy.stop();
    expect(network.gateway.calls).toEqual([]);
  });
});

describe('an app with a price', () => {
  const account = privateKeyToAccount(generatePrivateKey());
  beforeEach(() => {
    stubMoney(network, { deposited: 0n });
    ({ app } = network.addApp({ price: { ...freePrice, perCall: '20' }, limits: { wallMs: 1_000 } }));
    worker.run = (opened) => settledAnswer(opened);
  });

  test('answers 402, and the unmodified client of x402 pays through the proxy by exact', async () => {
    const { url } = await start();
    const unpaid = await fetch(`${url}/${app}/x`, { method: 'POST', body: 'q' });
    expect([unpaid.status, unpaid.headers.get('x-cloister-receipt')]).toEqual([402, 'none']);
    const x402 = new x402Client()
      .register('eip155:*', new ExactEvmScheme(account))
      .setSpendControls({ allowedAssets: [{ network: 'eip155:31337', asset: network.file.contracts.phaToken }] });
    const response = await wrapFetchWithPayment(fetch, x402)(`${url}/${app}/x`, { method: 'POST', body: 'q' });
    expect([response.status, await response.text()]).toEqual([200, 'paid answer']);
    expect(response.headers.get('x-cloister-payment')).toBe('exact; the receipt does not guard the sum');
    expect(atob(response.headers.get('payment-response') ?? '')).toContain(transaction);
    expect(network.gateway.calls).toHaveLength(1);
  });
});
