import { BlobError, fetchBlob, readBounded } from '@cloister/core';
import { sha256, toHex } from '@cloister/crypto';
import { describe, expect, test } from 'vitest';

const bytes = new TextEncoder().encode('what is stored');
const id = toHex(sha256(bytes));
const stores = ['https://one.example', 'https://two.example', 'https://three.example'];

type Store = Error | (() => Response | Promise<Response>);

/** Stores that answer in turn; the rest of them have nothing. */
function asking(...answers: readonly Store[]) {
  const asked: string[] = [];
  const fetch: typeof globalThis.fetch = async (input, init) => {
    const answer = answers[asked.length] ?? (() => new Response(null, { status: 404 }));
    asked.push(String(input));
    init?.signal?.throwIfAborted();
    if (answer instanceof Error) throw answer;
    return answer();
  };
  return { asked, fetch };
}

const get = (fetch: typeof globalThis.fetch, changes: Partial<Parameters<typeof fetchBlob>[0]> = {}) =>
  fetchBlob({ stores, id, maxBytes: 1_000, fetch, ...changes });

describe('fetchBlob', () => {
  test('asks the stores in their order and takes the first that has it', async () => {
    const { asked, fetch } = asking(
      () => new Response(null, { status: 404 }),
      () => new Response(bytes),
    );
    expect(await get(fetch)).toEqual(bytes);
    expect(asked).toEqual([`https://one.example/v1/blobs/${id}`, `https://two.example/v1/blobs/${id}`]);
  });

  test.each<[string, Store]>([
    ['withholds it', () => new Response(null, { status: 404 })],
    ['fails', () => new Response('x', { status: 500 })],
    ['is away', new TypeError('fetch failed')],
    ['serves other bytes', () => new Response('what is not stored')],
    ['serves a part', () => new Response(bytes.slice(0, 5))],
    ['serves more', () => new Response('what is stored and more')],
    ['serves nothing', () => new Response(null)],
    ['serves far too much', () => new Response(new Uint8Array(2_000))],
    [
      'breaks off',
      () => new Response(new ReadableStream({ start: (controller) => controller.error(new Error('gone')) })),
    ],
  ])('passes over a store that %s', async (_, answer) => {
    const { fetch } = asking(answer, () => new Response(bytes));
    expect(await get(fetch)).toEqual(bytes);
    await expect(get(asking(answer).fetch)).rejects.toMatchObject({
      code: 'BLOB_UNAVAILABLE',
      retry: true,
      meta: { id },
    });
  });

  test('says why the last store had nothing', async () => {
    await expect(get(asking().fetch)).rejects.toThrow('https://three.example answered 404');
    await expect(get(asking(() => new Response(bytes)).fetch, { stores: [] })).rejects.toThrow('no store was named');
    const wrong = asking(() => new Response('other')).fetch;
    await expect(get(wrong, { stores: ['https://one.example'] })).rejects.toThrow('served other bytes');
  });

  test('leaves a store that says nothing, for the next one', async () => {
    const { fetch } = asking(
      () => new Promise<Response>(() => {}),
      () => new Response(bytes),
    );
    expect(await get(fetch, { timeoutMs: 20 })).toEqual(bytes);
  });

  test('leaves a store that stops in the middle', async () => {
    const stalls = () =>
      new Response(new ReadableStream({ start: (controller) => controller.enqueue(bytes.slice(0, 3)) }));
    const { fetch } = asking(stalls, () => new Response(bytes));
    expect(await get(fetch, { timeoutMs: 20 })).toEqual(bytes);
  });

  test('does not go on for a caller who has left', async () => {
    const leaving = new AbortController();
    const { asked, fetch } = asking(
      () => {
        leaving.abort();
        return new Promise<Response>(() => {});
      },
      () => new Response(bytes),
    );
    await expect(get(fetch, { signal: leaving.signal })).rejects.toMatchObject({ code: 'ABORTED' });
    expect(asked).toHaveLength(1);
  });

  test('does not follow redirects', async () => {
    const inits: (RequestInit | undefined)[] = [];
    await get(async (_, init) => {
      inits.push(init);
      return new Response(bytes);
    });
    expect(inits.map((init) => init?.redirect)).toEqual(['error']);
  });
});

describe('readBounded', () => {
  const parts = (...lengths: number[]) =>
    new Response(
      new ReadableStream<Uint8Array>({
        start(controller) {
          for (const length of lengths) controller.enqueue(new Uint8Array(length).fill(length));
          controller.close();
        },
      }),
    );

  test('joins what comes in pieces, up to exactly the bound', async () => {
    const read = await readBounded(parts(3, 1, 2), 6);
    expect([...read]).toEqual([3, 3, 3, 1, 2, 2]);
    expect(await readBounded(new Response(null), 0)).toHaveLength(0);
    await expect(readBounded(parts(3, 1, 3), 6)).rejects.toMatchObject({ code: 'BODY_TOO_LARGE' });
  });

  test('takes no more than it must of what never ends', async () => {
    let pulled = 0;
    let cancelled = false;
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        pulled += 1;
        controller.enqueue(new Uint8Array(100));
      },
      cancel() {
        cancelled = true;
      },
    });
    const refused = await readBounded(new Response(endless), 1_000).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(BlobError);
    expect(pulled).toBeLessThan(15);
    expect(cancelled).toBe(true);
  });
});
