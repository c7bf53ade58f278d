import { commitBody } from '@cloister/core';
import { concatBytes, engine, keccak256, randomBytes, toHex } from '@cloister/crypto';
import fc from 'fast-check';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { engine as webEngine } from '../../crypto/src/engine.web.ts';
import { sealRequest } from '../src/client/sealRequest.ts';
import { maxChunkData } from '../src/shared/chunk.ts';
import { encodeKeyConfig } from '../src/shared/keyConfiguration.ts';
import { KeyRing } from '../src/worker/keyRing.ts';
import { leaseEnd, now, openSession, readAll, respond, someCall, someRequest, split, streamOf } from './sealedCall.ts';

afterEach(() => {
  vi.doUnmock('@cloister/crypto');
  vi.resetModules();
});

describe('a sealed call', () => {
  test('carries call headers, request, and the same hash and salts on both sides', async () => {
    const call = someCall({ voucher: 'abc' });
    const request = someRequest();
    const { sealed, opened } = await openSession({ call, request });
    expect(opened.request).toEqual(request);
    expect({ ...opened.call, clientKey: null }).toEqual({ ...call, clientKey: null });
    expect(opened.call.clientKey.equals(call.clientKey)).toBe(true);
    expect(opened.requestHash).toBe(toHex(keccak256(sealed.encapsulated)));
    expect(sealed.requestHash).toBe(opened.requestHash);
    expect([opened.inputSalt, opened.outputSalt]).toEqual([sealed.inputSalt, sealed.outputSalt]);
    expect(opened.inputSalt).not.toBe(opened.outputSalt);
    expect(commitBody(sealed.inputSalt, request.body)).toBe(commitBody(opened.inputSalt, opened.request.body));
  });

  test('shows nothing of the app, the ids or the data in the clear', async () => {
    const call = someCall();
    const marker = 'applicant-4711';
    const { sealed, opened } = await openSession({
      call,
      request: someRequest({
        path: `/${marker}`,
        headers: [['x-mark', marker]],
        body: new TextEncoder().encode(marker),
      }),
    });
    const answer = await respond(opened, [new TextEncoder().encode(marker)]);
    const seen = Buffer.concat([sealed.encapsulated, ...answer]);
    for (const hidden of [marker, call.app.slice(2), call.callId]) expect(seen.includes(hidden)).toBe(false);
    expect(seen.toString('hex')).not.toContain(call.app.slice(2));
  });

  test('the answer comes back', async () => {
    const { sealed, opened } = await openSession();
    const bodies = [new Uint8Array(10).fill(1), new Uint8Array(0), new Uint8Array(3_000).fill(2)];
    const events = await readAll(sealed, await respond(opened, bodies, Uint8Array.of(7)));
    expect(events).toEqual([
      { type: 'head', status: 200, headers: [['content-type', 'text/plain']] },
      { type: 'body', bytes: bodies[0] },
      { type: 'body', bytes: bodies[2] },
      { type: 'final', trailer: Uint8Array.of(7) },
    ]);
  });

  test('a body larger than a chunk comes back whole', async () => {
    const { sealed, opened } = await openSession();
    const body = randomBytes(3 * maxChunkData + 1);
    const events = await readAll(sealed, await respond(opened, [body]));
    const parts = events.flatMap((event) => (event.type === 'body' ? [event.bytes] : []));
    expect(parts.map((part) => part.length)).toEqual([maxChunkData, maxChunkData, maxChunkData, 1]);
    expect(concatBytes(...parts)).toEqual(body);
  });

  test('a request of the largest body opens, one byte more is refused before it is sealed', async () => {
    const limits = { maxHeaderCount: 128, maxHeaderBytes: 32_768, maxBodyBytes: 100_000 };
    const ring = new KeyRing({ limits });
    const { config: keyConfig } = await ring.rotate(now, leaseEnd);
    const path = `/${'p'.repeat(8_191)}`;
    const headers = Array.from({ length: 7 }, (_, i) => [`x-${i}`, 'v'.repeat(4_000)] as const);
    const call = someCall({ voucher: 'v'.repeat(4_000) });
    const largest = await sealRequest({
      keyConfig,
      call,
      request: someRequest({ path, headers, body: new Uint8Array(100_000) }),
      limits,
    });
    expect(largest.encapsulated.length).toBeLessThanOrEqual(ring.maxEncapsulatedBytes);
    expect((await ring.open(largest.encapsulated, now)).request.body.length).toBe(100_000);
    await expect(
      sealRequest({ keyConfig, call, request: someRequest({ body: new Uint8Array(100_001) }), limits }),
    ).rejects.toMatchObject({ code: 'REQUEST_TOO_LARGE' });
  });

  test('any split of the transport gives the same events', async () => {
    const { ring, keyConfig } = await openSession();
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 400 }), { maxLength: 4 }),
        fc.array(fc.nat(), { maxLength: 30 }),
        async (bodies, cuts) => {
          const sealed = await sealRequest({ keyConfig, call: someCall(), request: someRequest() });
          const opened = await ring.open(sealed.encapsulated, now);
          const answer = concatBytes(...(await respond(opened, bodies)));
          const events = await readAll(sealed, split(answer, cuts));
          expect(events.map((event) => event.type)).toEqual([
            'head',
            ...bodies.filter((body) => body.length > 0).map(() => 'body'),
            'final',
          ]);
          expect(events.flatMap((event) => (event.type === 'body' ? [event.bytes] : []))).toEqual(
            bodies.filter((body) => body.length > 0),
          );
        },
      ),
      { numRuns: 60 },
    );
  });

  test('bytes one by one give the same events', async () => {
    const { sealed, opened } = await openSession();
    const answer = concatBytes(...(await respond(opened)));
    const events = await readAll(
      sealed,
      [...answer].map((byte) => Uint8Array.of(byte)),
    );
    expect(events.map((event) => event.type)).toEqual(['head', 'body', 'body', 'final']);
  });

  test('a body comes out before the answer is whole', async () => {
    const { sealed, opened } = await openSession();
    const [head, body] = await respond(opened);
    const hanging = (async function* () {
      yield head as Uint8Array;
      yield body as Uint8Array;
      await new Promise(() => undefined);
    })();
    const controller = new AbortController();
    const seen: string[] = [];
    const read = (async () => {
      for await (const event of sealed.openResponse().read(hanging, { signal: controller.signal })) {
        seen.push(event.type);
        if (event.type === 'body') controller.abort(new Error('enough'));
      }
    })();
    await expect(read).rejects.toThrow('enough');
    expect(seen).toEqual(['head', 'body']);
  });

  test('a transport that hangs is left at the deadline, one that throws is heard', async () => {
    const { sealed, keyConfig } = await openSession();
    let returned = false;
    const hanging: AsyncIterable<Uint8Array> = {
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise(() => undefined),
        return: () => {
          returned = true;
          return new Promise(() => undefined);
        },
      }),
    };
    const hung = sealed.openResponse().read(hanging, { signal: AbortSignal.timeout(20) });
    await expect(hung.next()).rejects.toMatchObject({ name: 'TimeoutError' });
    expect(returned).toBe(true);
    const again = await sealRequest({ keyConfig, call: someCall(), request: someRequest() });
    const broken = (async function* (): AsyncGenerator<Uint8Array> {
      yield new Uint8Array(3);
      throw new Error('connection lost');
    })();
    await expect(
      again
        .openResponse()
        .read(broken, { signal: AbortSignal.timeout(5_000) })
        .next(),
    ).rejects.toThrow('connection lost');
    const aborted = await sealRequest({ keyConfig, call: someCall(), request: someRequest() });
    await expect(
      aborted
        .openResponse()
        .read(streamOf([]), { signal: AbortSignal.abort(new Error('never')) })
        .next(),
    ).rejects.toThrow('never');
  });

  test('there is one answer to a request, and one reading of it', async () => {
    const { sealed } = await openSession();
    const opener = sealed.openResponse();
    expect(() => sealed.openResponse()).toThrow(expect.objectContaining({ code: 'RESPONSE_MISUSED' }));
    const signal = AbortSignal.timeout(5_000);
    await expect(opener.read(streamOf([]), { signal }).next()).rejects.toMatchObject({ code: 'RESPONSE_TRUNCATED' });
    await expect(opener.read(streamOf([]), { signal }).next()).rejects.toMatchObject({ code: 'RESPONSE_MISUSED' });
  });
});

describe('the sealer', () => {
  test('keeps its order', async () => {
    const { opened } = await openSession();
    const { response } = opened;
    await expect(response.body(new Uint8Array(1))).rejects.toMatchObject({ code: 'RESPONSE_MISUSED' });
    await expect(response.final(new Uint8Array(1))).rejects.toMatchObject({ code: 'RESPONSE_MISUSED' });
    await response.head(200, []);
    await expect(response.head(200, [])).rejects.toMatchObject({ code: 'RESPONSE_MISUSED' });
    await expect(response.final(new Uint8Array(maxChunkData + 1))).rejects.toMatchObject({ code: 'CHUNK_TOO_LARGE' });
    await response.final(new Uint8Array(maxChunkData));
    for (const late of [response.body(new Uint8Array(1)), response.final(new Uint8Array(1)), response.head(200, [])])
      await expect(late).rejects.toMatchObject({ code: 'RESPONSE_MISUSED' });
  });

  test('lets a worker answer for an app whose head is refused', async () => {
    const { opened, sealed } = await openSession();
    for (const [status, headers] of [
      [42, []],
      [200, [['x-cloister-app', 'x']]],
      [200, [['a', 'b\r\nc: d']]],
    ] as const)
      await expect(opened.response.head(status, headers)).rejects.toThrow(/./);
    const events = await readAll(sealed, [
      await opened.response.head(502, []),
      await opened.response.final(new Uint8Array(3)),
    ]);
    expect(events[0]).toMatchObject({ type: 'head', status: 502 });
  });

  test('calls that overlap come out in their order', async () => {
    const { opened, sealed } = await openSession();
    const bodies = Array.from({ length: 5 }, (_, i) => new Uint8Array(i + 1).fill(i));
    const chunks = await Promise.all([
      opened.response.head(200, []),
      ...bodies.map((body) => opened.response.body(body)),
      opened.response.final(new Uint8Array(1)),
    ]);
    const events = await readAll(sealed, chunks);
    expect(events.flatMap((event) => (event.type === 'body' ? [event.bytes] : []))).toEqual(bodies);
  });
});

test('a client on WebCrypto and a worker on node:crypto understand each other', async () => {
  const ring = new KeyRing();
  const { config: keyConfig } = await ring.rotate(now, leaseEnd);
  vi.doMock('@cloister/crypto', async (original) => ({ ...(await original<object>()), engine: webEngine }));
  vi.resetModules();
  const browser = await import('../src/client/sealRequest.ts');
  expect((await import('@cloister/crypto')).engine.name).toBe('web');
  expect(engine.name).toBe('node');
  const request = someRequest();
  const sealed = await browser.sealRequest({ keyConfig, call: someCall(), request });
  const opened = await ring.open(sealed.encapsulated, now);
  expect(opened.request).toEqual(request);
  expect(opened.outputSalt).toBe(sealed.outputSalt);
  const events = await readAll(sealed, await respond(opened));
  expect(events.map((event) => event.type)).toEqual(['head', 'body', 'body', 'final']);
});

test('a key of small order in a key configuration is refused by the client', async () => {
  const keyConfig = encodeKeyConfig({ keyId: 1, publicKey: new Uint8Array(32) });
  await expect(sealRequest({ keyConfig, call: someCall(), request: someRequest() })).rejects.toMatchObject({
    code: 'X25519_ZERO_RESULT',
  });
});
