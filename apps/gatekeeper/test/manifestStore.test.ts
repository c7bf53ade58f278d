import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Bytes32, functionManifest, type Manifest, manifestBytes, manifestId } from '@cloister/core';
import { sha256, toHex, utf8 } from '@cloister/crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { manifestStore } from '../src/keys/manifestStore.ts';

const manifestOf = (name: string): Manifest =>
  functionManifest({ name, code: { sha256: `0x${'cc'.repeat(32)}`, bytes: 10 } });
const sample = manifestOf('sample');
const id = manifestId(sample);
const signal = () => AbortSignal.timeout(10_000);

/** A gateway's blob store over HTTP, which may serve anything under any id. */
class Store {
  readonly blobs = new Map<Bytes32, Uint8Array>();
  readonly asked: string[] = [];
  readonly #server: Server = createServer((request, response) => {
    this.asked.push(request.url ?? '');
    const blob = this.blobs.get((request.url ?? '').replace('/v1/blobs/', '') as Bytes32);
    response.writeHead(blob === undefined ? 404 : 200).end(blob);
  });

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return this;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }
}

let one: Store;
let two: Store;
beforeEach(async () => {
  [one, two] = await Promise.all([new Store().start(), new Store().start()]);
});
afterEach(() => Promise.all([one.stop(), two.stop()]));

describe('a manifest by its id', () => {
  test('comes from whichever store has it, once', async () => {
    two.blobs.set(id, manifestBytes(sample));
    const read = manifestStore([one.url, two.url]);
    expect(await read(id, signal())).toEqual(sample);
    expect(await read(id, signal())).toEqual(sample);
    expect([one.asked, two.asked]).toEqual([[`/v1/blobs/${id}`], [`/v1/blobs/${id}`]]);
  });

  test('is not what a store changed', async () => {
    one.blobs.set(id, manifestBytes(manifestOf('another')));
    const read = manifestStore([one.url]);
    await expect(read(id, signal())).rejects.toMatchObject({ code: 'BLOB_UNAVAILABLE', retry: true });
    two.blobs.set(id, manifestBytes(sample));
    expect(await manifestStore([one.url, two.url])(id, signal())).toEqual(sample);
  });

  test('may come later: what failed is not kept', async () => {
    const read = manifestStore([one.url]);
    await expect(read(id, signal())).rejects.toMatchObject({ code: 'BLOB_UNAVAILABLE' });
    one.blobs.set(id, manifestBytes(sample));
    expect(await read(id, signal())).toEqual(sample);
  });

  test('is none where the bytes under it are no manifest', async () => {
    const bytes = utf8('{"format":"cloister-manifest-1"}');
    const other = toHex(sha256(bytes)) as Bytes32;
    one.blobs.set(other, bytes);
    await expect(manifestStore([one.url])(other, signal())).rejects.toMatchObject({ code: 'SCHEMA_MISMATCH' });
  });

  test('is bounded: a store that sends more is cut off', async () => {
    const bytes = new Uint8Array(64 * 1024 + 1);
    const other = toHex(sha256(bytes)) as Bytes32;
    one.blobs.set(other, bytes);
    await expect(manifestStore([one.url])(other, signal())).rejects.toThrow(/too large|more than/);
  });

  test('is kept among the newest thousand', async () => {
    const read = manifestStore([one.url]);
    const all = Array.from({ length: 1_025 }, (_, index) => manifestOf(`app-${index}`));
    for (const manifest of all) {
      one.blobs.set(manifestId(manifest), manifestBytes(manifest));
      await read(manifestId(manifest), signal());
    }
    one.asked.length = 0;
    const [first, second] = all.map(manifestId) as [Bytes32, Bytes32];
    await read(second, signal());
    expect(one.asked).toEqual([]);
    await read(first, signal());
    expect(one.asked).toEqual([`/v1/blobs/${first}`]);
  });
});
