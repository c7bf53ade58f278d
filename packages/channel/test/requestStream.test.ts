import { commitBodyHash } from '@cloister/core';
import { concatBytes, keccak256, toHex } from '@cloister/crypto';
import { describe, expect, test } from 'vitest';
import { maxChunkData } from '../src/shared/chunk.ts';
import type { RequestStreamOpener } from '../src/worker/requestStreamOpener.ts';
import { flipBit, openSession, someCall, someRequest, split, streamOf } from './sealedCall.ts';

const bytes = (length: number, fill: number) => new Uint8Array(length).fill(fill);
const parts = [bytes(100, 1), bytes(maxChunkData, 2), new Uint8Array(), bytes(3_000, 3)];

/** A session with a streamed body, each chunk apart; the last is the final one. */
async function streamed(data: readonly Uint8Array[] = parts) {
  const session = await openSession({
    call: someCall({ body: 'stream' }),
    request: someRequest({ body: new Uint8Array() }),
  });
  const sealer = session.sealed.stream ?? expect.fail();
  const opener = session.opened.input ?? expect.fail();
  const chunks: Uint8Array[] = [];
  for (const part of data) chunks.push(await sealer.chunk(part));
  chunks.push(await sealer.final());
  return { ...session, sealer, opener, chunks };
}

async function readBody(opener: RequestStreamOpener, items: Iterable<Uint8Array>, maxBytes = 1e9): Promise<Uint8Array> {
  const read: Uint8Array[] = [];
  for await (const part of opener.read(streamOf(items), { maxBytes })) read.push(part);
  return concatBytes(...read);
}

const refused = async (code: string, changes: (chunks: readonly Uint8Array[]) => Iterable<Uint8Array>) => {
  const { opener, chunks } = await streamed();
  await expect(readBody(opener, changes(chunks))).rejects.toMatchObject({ code });
  expect(opener.failure?.code).toBe(code);
  expect(opener.whole).toBe(false);
};

describe('a streamed request', () => {
  test('comes out as it went in, however the transport cuts it, and both sides hash it alike', async () => {
    const { sealed, sealer, opener, chunks } = await streamed();
    const wire = concatBytes(...chunks);
    const body = await readBody(opener, split(wire, [1, 3, 500, 70_000, 70_001]));
    expect(body).toEqual(concatBytes(...parts));
    expect(opener).toMatchObject({ chunks: 5, whole: true, failure: undefined });
    expect(opener.progress).toEqual({
      requestHash: toHex(keccak256(concatBytes(sealed.encapsulated, wire))),
      bodyHash: toHex(keccak256(body)),
    });
    expect(sealer.after(5)).toEqual(opener.progress);
    expect(commitBodyHash(sealed.inputSalt, opener.progress.bodyHash)).not.toBe(opener.progress.bodyHash);
  });

  test('of which no more is taken is hashed as far as it was, by both sides alike', async () => {
    const { sealer, opener, chunks } = await streamed();
    const reading = opener.read(streamOf(chunks), { maxBytes: 1e9 });
    expect((await reading.next()).value).toEqual(parts[0]);
    opener.close();
    expect((await reading.next()).done).toBe(true);
    expect(opener).toMatchObject({ chunks: 1, whole: false, failure: undefined });
    expect(opener.progress).toEqual(sealer.after(1));
    expect(sealer.after(0)?.bodyHash).toBe(toHex(keccak256(new Uint8Array())));
    expect(sealer.after(6)).toBeUndefined();
  });

  test('an empty one is whole with its final chunk alone', async () => {
    const { opener, chunks } = await streamed([]);
    expect(await readBody(opener, chunks)).toEqual(new Uint8Array());
    expect(opener.whole).toBe(true);
  });

  test.each<[string, string, (chunks: readonly Uint8Array[]) => Uint8Array[]]>([
    ['cut before its final chunk', 'REQUEST_TRUNCATED', (chunks) => chunks.slice(0, -1)],
    ['cut inside a chunk', 'REQUEST_TRUNCATED', (chunks) => [concatBytes(...chunks).subarray(0, -5)]],
    ['of which nothing came', 'REQUEST_TRUNCATED', () => []],
    ['with bytes after its end', 'REQUEST_OVERRUN', (chunks) => [...chunks, bytes(1, 0)]],
    ['with its end twice', 'REQUEST_OVERRUN', (chunks) => [...chunks, ...chunks.slice(-1)]],
    ['with two chunks exchanged', 'CHUNK_OUT_OF_ORDER', ([a, b, ...more]) => [b, a, ...more] as Uint8Array[]],
    ['with a chunk left out', 'CHUNK_OUT_OF_ORDER', ([a, , ...more]) => [a, ...more] as Uint8Array[]],
    ['with a chunk replayed', 'CHUNK_REPEATED', ([a, ...more]) => [a, a, ...more] as Uint8Array[]],
    ['with its final mark set early', 'FINAL_MARK_CHANGED', ([a]) => [flipBit(a as Uint8Array, 7)]],
    ['that announces a huge chunk', 'CHUNK_TOO_LARGE', () => [Uint8Array.of(0x7f, 0xff, 0xff, 0xff)]],
    ['that announces a tiny chunk', 'CHUNK_MALFORMED', () => [Uint8Array.of(0, 0, 0, 1)]],
  ])('%s is refused: %s', (_, code, change) => refused(code, change));

  test('of which any bit was flipped is refused', async () => {
    for (const bit of [32, 100, 1_000, 1_100])
      await refused('CHUNK_NOT_OPENED', ([first]) => [flipBit(first as Uint8Array, bit)]);
  });

  test('chunks of another request do not open in it', async () => {
    const { chunks } = await streamed();
    await refused('CHUNK_NOT_OPENED', () => chunks);
  });

  test('is bounded as it comes, not at its end', async () => {
    const { opener, chunks } = await streamed();
    await expect(readBody(opener, chunks, 64_000)).rejects.toMatchObject({ code: 'REQUEST_TOO_LARGE' });
    expect(opener.chunks).toBe(2);
  });

  test('is written in order: one chunk at a time, none after the end, none beyond its size', async () => {
    const { sealer } = await streamed();
    await expect(sealer.chunk(bytes(1, 1))).rejects.toMatchObject({ code: 'REQUEST_MISUSED' });
    const { sealed } = await openSession({
      call: someCall({ body: 'stream' }),
      request: someRequest({ body: new Uint8Array() }),
    });
    const other = sealed.stream ?? expect.fail();
    const first = other.chunk(bytes(1, 1));
    await expect(other.chunk(bytes(1, 1))).rejects.toMatchObject({ code: 'REQUEST_MISUSED' });
    await first;
    await expect(other.chunk(bytes(maxChunkData + 1, 1))).rejects.toMatchObject({ code: 'REQUEST_MISUSED' });
  });

  test('is answered with 101 only where a session was asked for', async () => {
    const request = someRequest({ body: new Uint8Array(), method: 'GET' });
    const session = await openSession({ call: someCall({ body: 'socket' }), request });
    const head = await session.opened.response.head(101, []);
    const reading = session.sealed.openResponse().read(streamOf([head]), { signal: AbortSignal.timeout(5_000) });
    expect((await reading.next()).value).toMatchObject({ type: 'head', status: 101 });
    const { opened } = await streamed();
    await expect(opened.response.head(101, [])).rejects.toMatchObject({ code: 'RESPONSE_MALFORMED' });
  });

  test('is said inside the seal, and its head has no body', async () => {
    const { opened } = await openSession();
    expect(opened.input).toBeUndefined();
    await expect(openSession({ call: someCall({ body: 'stream' }) })).rejects.toMatchObject({
      code: 'REQUEST_MALFORMED',
    });
    const body = 'other' as 'stream';
    const request = someRequest({ body: new Uint8Array() });
    await expect(openSession({ call: someCall({ body }), request })).rejects.toMatchObject({
      code: 'CALL_HEADER_REFUSED',
    });
  });
});
