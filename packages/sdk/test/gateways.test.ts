import { announcementToJson, maxAnnouncementBytes } from '@cloister/core';
import { sha256, toHex, utf8 } from '@cloister/crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Gateways } from '../src/gateways.ts';
import { SimulatedNetwork, type StubWorker } from './simulatedNetwork.ts';

let network: SimulatedNetwork;
let worker: StubWorker;
beforeAll(async () => {
  network = await SimulatedNetwork.start();
  worker = await network.addWorker();
});
afterAll(() => network.stop());

const one = 'https://one.example';
const two = 'https://two.example';
const bytes = utf8('some code');
const id = toHex(sha256(bytes));

type Answer = Response | Error | ((request: Request) => Response | Promise<Response>);

/** Gateways whose answers are given by URL prefix. */
function gateways(answers: Record<string, Answer>, timeoutMs = 2_000) {
  const asked: string[] = [];
  const fetch: typeof globalThis.fetch = async (input, init) => {
    const request = new Request(input, init);
    asked.push(`${request.method} ${request.url}`);
    const answer = Object.entries(answers).find(([prefix]) => request.url.startsWith(prefix))?.[1];
    if (answer === undefined || answer instanceof Error) throw answer ?? new TypeError('fetch failed');
    return answer instanceof Response ? answer.clone() : answer(request);
  };
  return { asked, gateways: new Gateways({ urls: [one, two], fetch, timeoutMs }) };
}

/** An answer that goes on for ever; `pulled` counts what was taken of it. */
function endless() {
  const state = { pulled: 0 };
  const chunk = new Uint8Array(65_536).fill(0x5b);
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      state.pulled += chunk.length;
      controller.enqueue(chunk);
    },
  });
  return { response: new Response(body), state };
}

describe('the directory', () => {
  test('is a list of announcements; what is none is left out', async () => {
    const good = { announcement: announcementToJson(worker.announcement) };
    const { gateways: made } = gateways({
      [one]: () => Response.json([good, null, 7, {}, { announcement: { ...(good.announcement as object), more: 1 } }]),
    });
    expect(await made.directory(one)).toEqual([worker.announcement]);
  });

  test.each<[string, Answer, string]>([
    ['no list', () => Response.json({ workers: [] }), 'GATEWAY_ANSWER_INVALID'],
    ['no JSON', new Response('<html>'), 'JSON_MALFORMED'],
    ['a refusal', new Response('too many', { status: 429 }), 'GATEWAY_REFUSED'],
    ['nothing', new TypeError('fetch failed'), 'GATEWAY_UNREACHABLE'],
  ])('a gateway that answers with %s', async (_, answer, code) => {
    await expect(gateways({ [one]: answer }).gateways.directory(one)).rejects.toMatchObject({ code });
  });

  test('whether it may help to ask again', async () => {
    for (const [status, retry] of [
      [404, false],
      [503, true],
    ] as const) {
      const refused = gateways({ [one]: new Response('', { status }) }).gateways.directory(one);
      await expect(refused).rejects.toMatchObject({ code: 'GATEWAY_REFUSED', retry });
    }
  });

  test('is read page by page, and no further than it may reach', async () => {
    const entry = (number: number) => ({
      workerId: `0x${number.toString(16).padStart(64, '0')}`,
      announcement: announcementToJson(worker.announcement),
    });
    const page = (from: number, length: number) => Array.from({ length }, (_, at) => entry(from + at));
    const pages = new Map([
      ['', page(0, 256)],
      [`?after=${entry(255).workerId}`, page(256, 256)],
      [`?after=${entry(511).workerId}`, page(512, 3)],
    ]);
    const { gateways: made, asked } = gateways({
      [one]: (request) => Response.json(pages.get(new URL(request.url).search) ?? []),
    });
    expect(await made.directory(one)).toHaveLength(515);
    expect(asked).toHaveLength(3);
    // A gateway that never comes to an end.
    const endlessOne = gateways({ [one]: () => Response.json(page(0, 256).map(({ workerId }) => ({ workerId }))) });
    expect(await endlessOne.gateways.directory(one)).toEqual([]);
    expect(endlessOne.asked.length).toBeLessThan(200);
  });

  test('all pages together are bounded', async () => {
    const filler = 'x'.repeat(80_000);
    const entry = (number: number) => ({
      workerId: `0x${number.toString(16).padStart(64, '0')}`,
      announcement: filler,
    });
    const page = JSON.stringify(Array.from({ length: 256 }, (_, at) => entry(at)));
    const { gateways: made, asked } = gateways({ [one]: () => new Response(page) });
    await expect(made.directory(one)).rejects.toMatchObject({ code: 'BODY_TOO_LARGE' });
    expect(asked).toHaveLength(4);
  });

  test('one announcement is bounded, and read no further', async () => {
    const { response, state } = endless();
    const { gateways: made } = gateways({ [one]: () => response });
    await expect(made.announcement(one, worker.workerId)).rejects.toMatchObject({ code: 'BODY_TOO_LARGE' });
    expect(state.pulled).toBeLessThan(maxAnnouncementBytes + 4 * 65_536);
    const small = gateways({ [one]: () => Response.json(announcementToJson(worker.announcement)) });
    expect(await small.gateways.announcement(one, worker.workerId)).toEqual(worker.announcement);
  });

  test('a reason without end is cut', async () => {
    const { response, state } = endless();
    const { gateways: made } = gateways({ [one]: () => new Response(response.body, { status: 500 }) });
    const refused = (await made.directory(one).catch((error: unknown) => error)) as Error;
    expect(refused).toMatchObject({ code: 'GATEWAY_REFUSED' });
    expect(refused.message.length).toBeLessThan(500);
    expect(state.pulled).toBeLessThan(4 * 65_536);
  });

  test('a gateway that says nothing is left after a while', async () => {
    const { gateways: made } = gateways({ [one]: () => new Promise<Response>(() => {}) }, 50);
    await expect(made.directory(one)).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await expect(made.directory(one, AbortSignal.abort())).rejects.toMatchObject({ code: 'ABORTED' });
  });

  test('redirects are not followed', async () => {
    let redirect: RequestRedirect | undefined;
    const { gateways: made } = gateways({
      [one](request) {
        redirect = request.redirect;
        return Response.json([]);
      },
    });
    await made.directory(one);
    expect(redirect).toBe('error');
  });
});

describe('storing', () => {
  test('goes to every gateway and gives the id', async () => {
    const { gateways: made, asked } = gateways({ [one]: new Response(null), [two]: new Response(null) });
    expect(await made.putBlob(bytes)).toBe(id);
    expect(asked.sort()).toEqual([`PUT ${one}/v1/blobs/${id}`, `PUT ${two}/v1/blobs/${id}`]);
  });

  test('is enough with one of them', async () => {
    const { gateways: made } = gateways({ [one]: new TypeError('fetch failed'), [two]: new Response(null) });
    expect(await made.putBlob(bytes)).toBe(id);
  });

  test('fails where none takes it, with a reason', async () => {
    const { gateways: made } = gateways({ [one]: new Response('disk full', { status: 507 }) });
    await expect(made.putBlob(bytes)).rejects.toMatchObject({
      code: 'GATEWAY_STORE_FAILED',
      retry: true,
      message: expect.stringContaining('disk full'),
    });
  });
});

describe('fetching', () => {
  test.each<[string, Answer]>([
    ['withholds it', new Response(null, { status: 404 })],
    ['has other bytes under that hash', new Response('other code')],
    ['has more of it', new Response('some code and more')],
    ['does not answer', new TypeError('fetch failed')],
  ])('passes over a gateway that %s', async (_, answer) => {
    const { gateways: made, asked } = gateways({ [one]: answer, [two]: new Response(Uint8Array.from(bytes)) });
    expect(await made.getBlob(id, 100)).toEqual(bytes);
    expect(asked).toHaveLength(2);
    await expect(gateways({ [one]: answer }).gateways.getBlob(id, 100)).rejects.toMatchObject({
      code: 'BLOB_UNAVAILABLE',
    });
  });

  test('is bounded', async () => {
    const { response, state } = endless();
    const { gateways: made } = gateways({ [one]: () => response, [two]: () => new Response(Uint8Array.from(bytes)) });
    expect(await made.getBlob(id, 100_000)).toEqual(bytes);
    expect(state.pulled).toBeLessThan(6 * 65_536);
  });
});

describe('storing where nothing is free', () => {
  const unpaid = () => new Response('{"code":"storage-payment-required"}', { status: 402 });
  const claim = async (gateway: string, blob: typeof id) => ({
    app: id,
    blobs: [blob],
    gateway,
    epoch: 1,
    keep: true,
    signature: `0x${'00'.repeat(65)}` as const,
  });

  test('shows the claim to the gateways that ask for payment, and to no other', async () => {
    const seen: (string | null)[] = [];
    const { gateways: made } = gateways({
      [one]: ({ headers }) => {
        seen.push(headers.get('cloister-claim'));
        return headers.has('cloister-claim') ? Response.json({}) : unpaid();
      },
      [two]: ({ headers }) => (headers.has('cloister-claim') ? expect.fail() : Response.json({})),
    });
    expect(await made.putBlob(bytes, undefined, claim)).toBe(id);
    expect(seen).toEqual([null, JSON.stringify(await claim(one, id))]);
  });

  test('says what to do where none takes them', async () => {
    const { gateways: made } = gateways({ [one]: unpaid, [two]: unpaid });
    const refusal = { code: 'GATEWAY_STORAGE_UNPAID', hint: expect.stringContaining('storage pay') };
    await expect(made.putBlob(bytes)).rejects.toMatchObject(refusal);
    await expect(made.putBlob(bytes, undefined, claim)).rejects.toMatchObject(refusal);
  });
});
