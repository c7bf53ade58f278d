import { maxChunkData, prefixHead, sealRequest } from '@cloister/channel/client';
import { encodeCallOpen, type FrameStream, parseCallHead, parseCallOpen } from '@cloister/channel/frame';
import { KeyRing } from '@cloister/channel/worker';
import {
  commitBodyHash,
  receiptStatuses,
  type SignedReceipt,
  signedReceiptFromJson,
  zeroBytes32,
} from '@cloister/core';
import { concatBytes, keccak256, randomBytes, SecretBytes, toBase64Url, toHex, utf8 } from '@cloister/crypto';
import type { InvocationRequest } from '@cloister/sandbox';
import { createLogger } from '@cloister/service';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { framePair } from '../../../packages/channel/test/framePair.ts';
import { CallServer } from '../src/callServer.ts';
import { KeptAnswers } from '../src/keptAnswers.ts';
import { startParts, type WorkerParts } from './workerParts.ts';

let parts: WorkerParts;
let keys: KeyRing;
let config: Uint8Array;
let server: CallServer;
let stream: FrameStream;
let serving: Promise<void>;
let runs: number;

beforeEach(async () => {
  parts = await startParts();
  runs = 0;
  parts.driver.run = async (request) => {
    runs += 1;
    return { body: echoOf(request) };
  };
  keys = new KeyRing();
  const now = Number(parts.network.rpc.head.timestamp);
  ({ config } = await keys.rotate(now, now + 3_600));
  const log = createLogger({ name: 'worker', level: 'error', write: () => {} });
  server = new CallServer({ ...parts.components, keys, kept: new KeptAnswers(), log });
});
afterEach(() => parts.stop());

async function* echoOf({ body, input }: InvocationRequest): AsyncGenerator<Uint8Array> {
  if (input === undefined) yield body;
  else for await (const part of input) yield part;
}

/** A call whose chunks the test sends one by one, over a stream of the given kind. */
async function begin(limits: object = {}, method: 'call' | 'stream' = 'stream', body: 'stream' | 'none' = 'stream') {
  const { app, manifestId } = parts.addApp({ limits } as object);
  const pair = framePair({
    worker: {
      onStream(opened: FrameStream) {
        serving = server
          .serve(opened, parseCallOpen(opened.header), new AbortController().signal)
          .finally(() => opened.reset('internal', 'through'));
      },
    },
  });
  stream = pair.gateway.mux.openStream(encodeCallOpen({ method, contentLength: null }));
  const sealed = await sealRequest({
    keyConfig: config,
    call: {
      ...{ app, manifest: manifestId, context: zeroBytes32, maxFee: 0n, ...(body === 'stream' && { body }) },
      ...{ callId: toBase64Url(randomBytes(16)), clientKey: new SecretBytes(randomBytes(32)) },
    },
    request: { method: 'POST', path: '/', headers: [], body: new Uint8Array() },
  });
  await stream.write(body === 'none' ? sealed.encapsulated : prefixHead(sealed.encapsulated));
  return { sealed, sealer: sealed.stream ?? expect.fail() };
}
type Begun = Awaited<ReturnType<typeof begin>>;

/** The answer as it comes: its head, then its parts. */
function answerOf({ sealed }: Begun) {
  return sealed.openResponse().read(stream, { signal: AbortSignal.timeout(5_000) });
}

async function whole(begun: Begun) {
  expect(parseCallHead(await stream.head()).status).toBe(200);
  let status = 0;
  const body: Uint8Array[] = [];
  for await (const event of answerOf(begun)) {
    if (event.type === 'head') status = event.status;
    else if (event.type === 'body') body.push(event.bytes);
    else {
      const receipt: SignedReceipt = signedReceiptFromJson(JSON.parse(new TextDecoder().decode(event.trailer)));
      expect(parts.isOurs(receipt)).toBe(true);
      await serving;
      return { status, body: concatBytes(...body), receipt };
    }
  }
  return expect.fail('no receipt');
}

const problemOf = async (): Promise<{ readonly status: number; readonly text: string }> => {
  const { status } = parseCallHead(await stream.head());
  const bytes: Uint8Array[] = [];
  for await (const part of stream) bytes.push(Uint8Array.from(part));
  return { status, text: new TextDecoder().decode(concatBytes(...bytes)) };
};

describe('a streamed call', () => {
  test('reaches the app as it comes, and is answered before its end', async () => {
    const begun = await begin();
    const { sealed, sealer } = begun;
    const answer = answerOf(begun);
    await stream.write(await sealer.chunk(utf8('one')));
    expect((await answer.next()).value).toMatchObject({ type: 'head', status: 200 });
    expect((await answer.next()).value).toMatchObject({ type: 'body', bytes: utf8('one') });
    await stream.write(await sealer.chunk(utf8('two')));
    expect((await answer.next()).value).toMatchObject({ type: 'body', bytes: utf8('two') });
    await stream.end(await sealer.final());
    const end = (await answer.next()).value;
    if (end?.type !== 'final') expect.fail('No end');
    const { receipt, details } = signedReceiptFromJson(JSON.parse(new TextDecoder().decode(end.trailer)));
    expect(details.request).toEqual({ chunks: 3, whole: true });
    expect(receipt.status).toBe(receiptStatuses.ok);
    expect(receipt.requestHash).toBe(sealer.after(3)?.requestHash);
    expect(receipt.inputCommitment).toBe(commitBodyHash(sealed.inputSalt, toHex(keccak256(utf8('onetwo')))));
  });

  test('of which the app wants no more has a receipt of what was taken', async () => {
    parts.driver.run = async ({ input }) => ({
      body: (async function* () {
        for await (const part of input ?? []) {
          yield part;
          return;
        }
      })(),
    });
    const begun = await begin();
    await stream.write(await begun.sealer.chunk(utf8('enough')));
    await stream.write(await begun.sealer.chunk(utf8(' and more')));
    const { body, receipt } = await whole(begun);
    expect(body).toEqual(utf8('enough'));
    const { chunks, whole: all } = receipt.details.request as { chunks: number; whole: boolean };
    expect(all).toBe(false);
    expect(receipt.receipt.requestHash).toBe(begun.sealer.after(chunks)?.requestHash);
  });

  test.each<[string, string, number, (begun: Begun) => Promise<void>]>([
    ['cut by the gateway', 'REQUEST_TRUNCATED', 400, async () => stream.end()],
    [
      'with chunks exchanged',
      'CHUNK_OUT_OF_ORDER',
      400,
      async ({ sealer }) => {
        const first = await sealer.chunk(utf8('x'));
        await stream.write(await sealer.chunk(utf8('y')));
        await stream.write(first);
      },
    ],
    [
      'with a chunk replayed',
      'CHUNK_REPEATED',
      400,
      async ({ sealer }) => {
        const again = await sealer.chunk(new Uint8Array());
        await stream.write(again);
        await stream.write(again);
      },
    ],
    [
      'beyond the limit of its manifest',
      'REQUEST_TOO_LARGE',
      413,
      async ({ sealer }) => {
        for (let sent = 0; sent < 4; sent++)
          await stream.write(await sealer.chunk(new Uint8Array(maxChunkData))).catch(() => {});
      },
    ],
  ])('%s is refused with a receipt that says so: %s', async (_, code, status, attack) => {
    // A sandbox tells of a request that broke off as workerd's process does: it ends the call.
    parts.driver.run = async ({ input }) => {
      try {
        for await (const _part of input ?? []);
        return {};
      } catch {
        return { status: 500, outcome: { status: 'app-error' } };
      }
    };
    const begun = await begin({ inputBytes: 100_000 });
    const answer = whole(begun);
    await attack(begun);
    const heard = await answer;
    expect(heard.status).toBe(status);
    expect(JSON.parse(new TextDecoder().decode(heard.body))).toMatchObject({ refusedBy: 'worker', code });
    expect(heard.receipt.receipt.status).toBe(receiptStatuses.refused);
    expect(heard.receipt.details.request).toMatchObject({ whole: false, ended: code });
  });

  test('is what the seal says: a relay can make it neither of a whole call nor the other way round', async () => {
    await begin({}, 'stream', 'none').catch(() => {});
    await stream.end();
    expect((await problemOf()).status).toBeGreaterThanOrEqual(400);
    expect(runs).toBe(0);
    await begin({}, 'call');
    await stream.end();
    expect((await problemOf()).status).toBe(400);
    expect(runs).toBe(0);
  });
});
