import { sha256, toHex } from '@cloister/crypto';
import { gatewayBlobs } from '@cloister/state';
import { describe, expect, test } from 'vitest';
import { readBlob, storeBlob } from '../src/log/stateBlobs.ts';
import { bytes, code, signal } from './helpers.ts';

const content = new Uint8Array(bytes('an entry'));
const id = toHex(sha256(content));

/** Two gateways, each of which answers as told. */
function gateways(...answers: readonly ((init: RequestInit) => Response | Promise<Response>)[]) {
  const asked: string[] = [];
  const blobs = gatewayBlobs({
    stores: answers.map((_, at) => `http://g${at}`),
    timeoutMs: 200,
    fetch: async (input, init) => {
      const url = new URL(String(input));
      asked.push(`${init?.method ?? 'GET'} ${url.host}${url.pathname}`);
      return (answers[Number(url.hostname.slice(1))] as (init: RequestInit) => Response)(init ?? {});
    },
  });
  return { blobs, asked };
}

const gone = () => new Response('', { status: 404 });
const full = () => new Response('', { status: 507 });

describe('an entry', () => {
  test('is stored with every gateway, and one that takes it is enough', async () => {
    const { blobs, asked } = gateways(full, () => new Response('', { status: 201 }));
    await storeBlob(blobs, id, content, signal);
    expect(asked).toEqual([`PUT g0/v1/blobs/${id}`, `PUT g1/v1/blobs/${id}`]);
  });

  test('that none takes is not stored', async () => {
    for (const { blobs } of [
      gateways(full, () => Promise.reject(new Error('away'))),
      gateways(),
      gateways(() => new Promise(() => {})),
    ])
      await expect(storeBlob(blobs, id, content, signal)).rejects.toThrow(code('STATE_BLOB_UNSTORED'));
  });

  test('comes with the word of its app for each gateway, and without where a gateway does not take it', async () => {
    const words: (string | null)[] = [];
    const stores = ['http://g0', 'http://g1'];
    const blobs = gatewayBlobs({
      stores,
      fetch: async (input, init) => {
        const word = new Headers(init?.headers).get('cloister-claim');
        words.push(word);
        return new Response('', { status: String(input).startsWith('http://g1') && word !== null ? 403 : 201 });
      },
      claim: async (gateway, blob) => ({
        ...{ app: id, blobs: [blob], gateway, epoch: 7, keep: true },
        signature: `0x${'11'.repeat(65)}`,
      }),
    });
    await storeBlob(blobs, id, content, signal);
    expect(words.map((word) => word && JSON.parse(word).gateway).sort()).toEqual([...stores, null].sort());
    const away = gatewayBlobs({
      stores,
      fetch: async () => new Response(),
      claim: () => Promise.reject(new Error('no chain')),
    });
    await storeBlob(away, id, content, signal);
  });

  test('is read from whichever has it', async () => {
    const other = () => new Response('something else');
    const { blobs, asked } = gateways(gone, other, () => new Response(content));
    expect(await readBlob(blobs, id, 100, signal)).toEqual(content);
    expect(asked).toHaveLength(3);
  });

  test('that none has, or that is larger than it may be, is missing', async () => {
    for (const { blobs } of [gateways(gone), gateways(() => new Response('something else'))])
      await expect(readBlob(blobs, id, 100, signal)).rejects.toThrow(code('STATE_BLOB_MISSING'));
    const { blobs } = gateways(() => new Response(content));
    await expect(readBlob(blobs, id, content.length - 1, signal)).rejects.toThrow(code('STATE_BLOB_MISSING'));
  });

  test('of whoever gives up is not called missing', async () => {
    const giveUp = new AbortController();
    giveUp.abort();
    const { blobs } = gateways(() => new Response(content));
    await expect(readBlob(blobs, id, 100, giveUp.signal)).rejects.toThrow(code('ABORTED'));
    await expect(storeBlob(blobs, id, content, giveUp.signal)).rejects.toThrow(code('ABORTED'));
  });
});
