import { type ResponseEvent, readProblem, type SealedRequest, sealRequest } from '@cloister/channel/client';
import { encodeCallOpen, type FrameStream, parseCallHead, parseCallOpen } from '@cloister/channel/frame';
import { KeyRing, responseMediaType } from '@cloister/channel/worker';
import { receiptStatuses, type SignedReceipt, signedReceiptFromJson, zeroBytes32 } from '@cloister/core';
import { concatBytes, randomBytes, SecretBytes, toBase64Url, utf8 } from '@cloister/crypto';
import { SandboxError } from '@cloister/sandbox';
import { createLogger } from '@cloister/service';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { framePair, settle } from '../../../packages/channel/test/framePair.ts';
import { CallServer, type CallServerInit } from '../src/callServer.ts';
import { KeptAnswers } from '../src/keptAnswers.ts';
import { startParts, type WorkerParts } from './workerParts.ts';

let parts: WorkerParts;
let app: `0x${string}`;
let manifestId: `0x${string}`;
let runs = 0;

beforeEach(async () => {
  parts = await startParts();
  ({ app, manifestId } = parts.addApp());
  runs = 0;
  parts.driver.run = ({ body }) => {
    runs += 1;
    return { status: 201, headers: [['x-run', String(runs)]], body: [utf8('echo '), body] };
  };
});
afterEach(() => parts.stop());

const limits = { maxHeaderCount: 128, maxHeaderBytes: 8_192, maxBodyBytes: 4_096 };
const seconds = () => Number(parts.network.rpc.head.timestamp);
type Identity = { readonly callId: string; readonly clientKey: SecretBytes };
const identity = (): Identity => ({
  callId: toBase64Url(randomBytes(16)),
  clientKey: new SecretBytes(randomBytes(32)),
});

/** A call server behind one connection of a gateway. */
async function serve(init?: CallServerInit, kept = new KeptAnswers()) {
  const keys = new KeyRing({ limits });
  const { config } = await keys.rotate(seconds(), seconds() + 3_600);
  const log: string[] = [];
  const server = new CallServer(
    {
      ...parts.components,
      keys,
      kept,
      log: createLogger({ name: 'worker', level: 'debug', write: (line) => log.push(line) }),
    },
    init,
  );
  const serving: Promise<void>[] = [];
  const pair = framePair({
    worker: {
      onStream(stream: FrameStream) {
        const served = server.serve(stream, parseCallOpen(stream.header), new AbortController().signal);
        // As the dialler does it.
        serving.push(served.finally(() => stream.reset('internal', 'through')));
      },
    },
  });

  function open(): FrameStream {
    return pair.gateway.mux.openStream(encodeCallOpen({ method: 'call', contentLength: null }));
  }
  const seal = (from: Identity = identity(), body = utf8('hello'), changes: object = {}): Promise<SealedRequest> =>
    sealRequest({
      keyConfig: config,
      call: { app, manifest: manifestId, context: zeroBytes32, maxFee: 0n, ...from, ...changes },
      request: { method: 'POST', path: '/x', headers: [], body },
    });
  return { keys, config, server, pair, log, open, seal, served: () => Promise.all(serving) };
}
type Served = Awaited<ReturnType<typeof serve>>;

/** What comes back on a stream, undecoded. */
async function read(stream: FrameStream) {
  const head = parseCallHead(await stream.head());
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(Uint8Array.from(chunk));
  return { ...head, chunks };
}

/** Sends sealed bytes and gives the problem that is answered in place of a sealed response. */
async function problemFor({ open }: Served, bytes: Uint8Array) {
  const stream = open();
  // The worker may stop listening before all of it is sent.
  stream.end(bytes).catch(() => {});
  const { status, contentType, chunks } = await read(stream);
  const problem = readProblem({ status, contentType, body: concatBytes(...chunks) });
  return { status, ...problem };
}

/** The answer to a sealed request, opened to its receipt. */
async function answerTo(stream: FrameStream, sealed: SealedRequest) {
  const { status, contentType, chunks } = await read(stream);
  expect({ status, contentType }).toEqual({ status: 200, contentType: responseMediaType });
  async function* source() {
    yield* chunks;
  }
  const events: ResponseEvent[] = [];
  for await (const event of sealed.openResponse().read(source(), { signal: AbortSignal.timeout(5_000) }))
    events.push(event);
  const [head] = events;
  const last = events.at(-1);
  if (head?.type !== 'head' || last?.type !== 'final') expect.fail('No head or no end');
  const body = concatBytes(...events.flatMap((event) => (event.type === 'body' ? [event.bytes] : [])));
  const receipt: SignedReceipt = signedReceiptFromJson(JSON.parse(new TextDecoder().decode(last.trailer)));
  expect(parts.isOurs(receipt)).toBe(true);
  return { status: head.status, headers: head.headers, body: new TextDecoder().decode(body), receipt };
}

async function call(served: Served, from?: Identity, body?: Uint8Array) {
  const sealed = await served.seal(from, body);
  const stream = served.open();
  await stream.end(sealed.encapsulated);
  return { ...(await answerTo(stream, sealed)), sealed };
}

/** Something that is waited for, and let go by the test. */
function gate() {
  let release: () => void = () => {};
  const opened = new Promise<void>((resolve) => {
    release = resolve;
  });
  return { opened, release: () => release() };
}

describe('a call', () => {
  test('is opened, answered and sealed again, with the receipt in its last chunk', async () => {
    const heard = await call(await serve());
    expect(heard).toMatchObject({ status: 201, headers: [['x-run', '1']], body: 'echo hello' });
    expect(heard.receipt.receipt).toMatchObject({
      app,
      manifest: manifestId,
      requestHash: heard.sealed.requestHash,
      sequence: 1n,
    });
  });

  test('many at once keep apart', async () => {
    const served = await serve();
    const bodies = Array.from({ length: 20 }, (_, at) => `call ${at}`);
    const heard = await Promise.all(bodies.map((body) => call(served, identity(), utf8(body))));
    expect(heard.map(({ body }) => body)).toEqual(bodies.map((body) => `echo ${body}`));
    expect(new Set(heard.map(({ receipt }) => receipt.receipt.sequence)).size).toBe(20);
  });
});

describe('a request that does not open', () => {
  test('sent twice: the second is a replay', async () => {
    const served = await serve();
    const { sealed } = await call(served);
    expect(await problemFor(served, sealed.encapsulated)).toMatchObject({
      status: 400,
      type: 'urn:cloister:problem:replayed',
    });
    expect(runs).toBe(1);
  });

  test.each<[string, (bytes: Uint8Array) => Uint8Array]>([
    ['sealed to a key that is not held', (bytes) => bytes.with(0, (bytes[0] ?? 0) ^ 0xff)],
    ['with one bit flipped', (bytes) => bytes.with(60, (bytes[60] ?? 0) ^ 1)],
    ['with a byte more', (bytes) => concatBytes(bytes, new Uint8Array(1))],
  ])('%s: the client may ask for the key', async (_, change) => {
    const served = await serve();
    const { encapsulated } = await served.seal();
    expect(await problemFor(served, change(encapsulated))).toMatchObject({ status: 400, isKeyProblem: true });
    expect(runs).toBe(0);
  });

  test('after all keys were wiped', async () => {
    const served = await serve();
    const { encapsulated } = await served.seal();
    served.keys.wipe();
    expect(await problemFor(served, encapsulated)).toMatchObject({ isKeyProblem: true });
  });

  test.each([
    ['nothing', new Uint8Array()],
    ['a few bytes', new Uint8Array(10)],
  ])('that is %s', async (_, bytes) => {
    expect(await problemFor(await serve(), bytes)).toMatchObject({ status: 400, isKeyProblem: false });
  });

  test('that is too large is refused before it is all there', async () => {
    const served = await serve();
    const stream = served.open();
    const part = new Uint8Array(served.keys.maxEncapsulatedBytes);
    await stream.write(part);
    await stream.write(new Uint8Array(1));
    const { status, contentType, chunks } = await read(stream);
    expect({ status, contentType }).toEqual({ status: 413, contentType: 'application/problem+json' });
    expect(JSON.parse(new TextDecoder().decode(concatBytes(...chunks)))).toMatchObject({ status: 413 });
    expect(runs).toBe(0);
  });

  test('that breaks off runs nothing', async () => {
    const served = await serve();
    const { encapsulated } = await served.seal();
    const stream = served.open();
    await stream.write(encapsulated.subarray(0, 100));
    stream.reset('cancelled', 'gone');
    await settle();
    await served.served();
    expect(runs).toBe(0);
  });
});

describe('room', () => {
  test('for so many calls at once, and for the next one when one is over', async () => {
    const { opened, release } = gate();
    const { run } = parts.driver;
    parts.driver.run = async (request, tenant) => {
      await opened;
      return run(request, tenant);
    };
    const served = await serve({ maxConcurrent: 1, maxOfOneApp: 1, maxRequestBytesInAll: 1e6 });
    const first = call(served);
    await settle();
    expect(await problemFor(served, (await served.seal()).encapsulated)).toMatchObject({ status: 503 });
    release();
    expect((await first).body).toBe('echo hello');
    await served.served();
    expect((await call(served)).body).toBe('echo hello');
  });

  test('is left for other apps by one that takes all it gets; it is refused by receipt, and told to try again', async () => {
    const { opened, release } = gate();
    const { run } = parts.driver;
    parts.driver.run = async (request, tenant) => {
      if (tenant.workload.tenant === app) await opened;
      return run(request, tenant);
    };
    const other = parts.addApp({ name: 'other' });
    const served = await serve({ maxConcurrent: 4, maxOfOneApp: 2, maxRequestBytesInAll: 1e6 });
    const held = [call(served), call(served)];
    await settle();
    const crowded = await call(served);
    expect(crowded).toMatchObject({ status: 503 });
    expect(crowded.headers).toContainEqual(['retry-after', '1']);
    expect(JSON.parse(crowded.body)).toMatchObject({ refusedBy: 'worker', code: 'APP_CALLS_CROWDED', retry: true });
    expect(crowded.receipt.receipt.status).toBe(receiptStatuses.refused);
    const sealed = await served.seal(identity(), utf8('hi'), { app: other.app, manifest: other.manifestId });
    const stream = served.open();
    await stream.end(sealed.encapsulated);
    expect((await answerTo(stream, sealed)).body).toBe('echo hi');
    release();
    for (const each of held) expect((await each).body).toBe('echo hello');
    await served.served();
    expect((await call(served)).body).toBe('echo hello');
  });

  test('for so many bytes of requests at once, given back when they are over', async () => {
    const served = await serve({ maxConcurrent: 10, maxOfOneApp: 10, maxRequestBytesInAll: 3_000 });
    const slow = served.open();
    await slow.write(new Uint8Array(1_500));
    await settle();
    const { encapsulated } = await served.seal(identity(), new Uint8Array(1_800));
    expect(await problemFor(served, encapsulated)).toMatchObject({ status: 503 });
    slow.reset('cancelled', 'gone');
    await settle();
    for (let round = 0; round < 3; round++) expect((await call(served)).status).toBe(201);
  });
});

describe('a call that is asked for again', () => {
  test('gets the answer that was kept, with the first receipt, sealed anew', async () => {
    const served = await serve();
    const who = identity();
    const first = await call(served, who);
    const again = await call(served, who);
    expect(runs).toBe(1);
    expect(again).toMatchObject({ status: 201, headers: [['x-run', '1']], body: 'echo hello' });
    expect(again.receipt).toEqual(first.receipt);
    expect(again.receipt.receipt.requestHash).toBe(first.sealed.requestHash);
    expect(again.sealed.requestHash).not.toBe(first.sealed.requestHash);
  });

  test('while it runs waits for the same answer', async () => {
    const { opened, release } = gate();
    const { run } = parts.driver;
    parts.driver.run = async (request, tenant) => {
      await opened;
      return run(request, tenant);
    };
    const served = await serve();
    const who = identity();
    const asked = [call(served, who), call(served, who), call(served, who)];
    await settle();
    release();
    const heard = await Promise.all(asked);
    expect(runs).toBe(1);
    expect(new Set(heard.map(({ receipt }) => receipt.signature)).size).toBe(1);
  });

  test('in the same instant runs once', async () => {
    const served = await serve();
    const who = identity();
    const sealed = await Promise.all(Array.from({ length: 16 }, () => served.seal(who)));
    const streams = sealed.map(() => served.open());
    // All requests arrive before any is looked at.
    for (const [at, stream] of streams.entries()) void stream.end(sealed[at]?.encapsulated);
    const heard = await Promise.all(streams.map((stream, at) => answerTo(stream, sealed[at] ?? expect.fail())));
    expect(runs).toBe(1);
    expect(new Set(heard.map(({ receipt }) => receipt.receipt.sequence))).toEqual(new Set([1n]));
  });

  test('by a client that was gone in mid-call: it was made to its end and kept', async () => {
    const { opened, release } = gate();
    parts.driver.run = () => {
      runs += 1;
      return {
        body: (async function* () {
          yield utf8('first part, ');
          await opened;
          yield utf8('last part');
        })(),
      };
    };
    const served = await serve();
    const who = identity();
    const sealed = await served.seal(who);
    const stream = served.open();
    await stream.end(sealed.encapsulated);
    await stream.head();
    stream.reset('cancelled', 'gone');
    await settle();
    release();
    await served.served();
    const again = await call(served, who);
    expect(again.body).toBe('first part, last part');
    expect(again.receipt.receipt.requestHash).toBe(sealed.requestHash);
    expect(runs).toBe(1);
  });

  test('by anyone without the client key, or about another app, is another call', async () => {
    const served = await serve();
    const who = identity();
    await call(served, who);
    await call(served, { ...who, clientKey: new SecretBytes(randomBytes(32)) });
    expect(runs).toBe(2);
    const other = parts.addApp({ name: 'other' });
    const sealed = await served.seal(who, utf8('hello'), { app: other.app, manifest: other.manifestId });
    const stream = served.open();
    await stream.end(sealed.encapsulated);
    expect((await answerTo(stream, sealed)).receipt.receipt.app).toBe(other.app);
    expect(runs).toBe(3);
  });

  test('but is no longer kept is not run again: the worker says so, with a receipt', async () => {
    const served = await serve(undefined, new KeptAnswers({ maxAnswerBytes: 5 }));
    const who = identity();
    expect((await call(served, who)).body).toBe('echo hello');
    const again = await call(served, who);
    expect(again.status).toBe(422);
    expect(JSON.parse(again.body)).toMatchObject({ refusedBy: 'worker', code: 'ANSWER_GONE' });
    expect(again.receipt.receipt).toMatchObject({
      manifest: zeroBytes32,
      status: receiptStatuses.refused,
      requestHash: again.sealed.requestHash,
    });
    expect(runs).toBe(1);
  });
});

describe('a failure of the worker itself', () => {
  test('ends the stream without an answer, is logged without what was sealed, and may have run', async () => {
    parts.driver.run = () => {
      runs += 1;
      return {
        body: (async function* () {
          yield utf8('the secret part');
          throw new SandboxError({ code: 'STOPPED', message: 'The sandbox stops' });
        })(),
      };
    };
    const served = await serve();
    const who = identity();
    const sealed = await served.seal(who, utf8('the secret question'));
    const stream = served.open();
    await stream.end(sealed.encapsulated);
    await expect(answerTo(stream, sealed)).rejects.toMatchObject({ code: 'STREAM_RESET' });
    expect(served.log.join('\n')).toContain('call: failed');
    expect(served.log.join('\n')).not.toContain('secret');
    const again = await call(served, who);
    expect(JSON.parse(again.body)).toMatchObject({ code: 'ANSWER_GONE' });
    expect(runs).toBe(1);
  });
});

describe('leaving', () => {
  const never = new AbortController().signal;

  test('lets what is under way be answered, and takes nothing new', async () => {
    const { opened, release } = gate();
    const { run } = parts.driver;
    parts.driver.run = async (request, tenant) => {
      await opened;
      return run(request, tenant);
    };
    const served = await serve();
    const first = call(served);
    await settle();
    let drained = false;
    const draining = served.server.drain(60_000, never).then(() => {
      drained = true;
    });
    await expect(call(served)).rejects.toThrow('has left the network');
    expect(drained).toBe(false);
    release();
    expect((await first).body).toBe('echo hello');
    await draining;
    expect(served.log.join('')).not.toContain('cut off');
    await expect(call(served)).rejects.toThrow('has left the network');
  });

  test('waits for nothing where nothing is under way', async () => {
    const served = await serve();
    await call(served);
    await served.served();
    await served.server.drain(60_000, never);
    await expect(call(served)).rejects.toThrow('has left the network');
  });

  test('does not wait for ever, and says how many calls it cuts off', async () => {
    const { opened, release } = gate();
    const { run } = parts.driver;
    parts.driver.run = async (request, tenant) => {
      await opened;
      return run(request, tenant);
    };
    const served = await serve();
    const asked = [call(served), call(served)];
    await settle();
    await served.server.drain(1, never);
    expect(served.log.map((line) => JSON.parse(line))).toMatchObject([
      { level: 'warn', msg: 'call: cut off', calls: 2, error: { code: 'DEADLINE_EXCEEDED' } },
    ]);
    const ending = new AbortController();
    const draining = served.server.drain(60_000, ending.signal);
    ending.abort();
    await draining;
    expect(served.log).toHaveLength(1);
    release();
    await Promise.all(asked);
  });
});
