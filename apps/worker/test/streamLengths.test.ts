// What somebody sees who only counts sealed bytes: two streamed answers of as many chunks, through all that the worker does to them.
import { sealRequest } from '@cloister/channel/client';
import { encodeCallOpen, parseCallHead, parseCallOpen } from '@cloister/channel/frame';
import { KeyRing } from '@cloister/channel/worker';
import { zeroBytes32 } from '@cloister/core';
import { concatBytes, randomBytes, SecretBytes, toBase64Url, utf8 } from '@cloister/crypto';
import { createLogger } from '@cloister/service';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { splitAnswer } from '../../../e2e/support/sealedAnswer.ts';
import { framePair } from '../../../packages/channel/test/framePair.ts';
import { generatedAnswer } from '../../../packages/sandbox/src/model/engines/openai/answer.ts';
import { event } from '../../../packages/sandbox/src/model/engines/openai/pacedStream.ts';
import { CallServer } from '../src/callServer.ts';
import { KeptAnswers } from '../src/keptAnswers.ts';
import { startParts, type WorkerParts } from './workerParts.ts';

let parts: WorkerParts;
let keys: KeyRing;
let config: Uint8Array;
let server: CallServer;

beforeEach(async () => {
  parts = await startParts();
  keys = new KeyRing();
  const now = Number(parts.network.rpc.head.timestamp);
  ({ config } = await keys.rotate(now, now + 3_600));
  const log = createLogger({ name: 'worker', level: 'error', write: () => {} });
  server = new CallServer({ ...parts.components, keys, kept: new KeptAnswers(), log });
});
afterEach(() => parts.stop());

/** Makes of words, one token each, a body whose pieces come when the ticks say. */
type Body = (words: readonly string[], tick: () => Promise<void>) => Promise<AsyncIterable<Uint8Array | string>>;

/** As a model answers: everything between the engine and the wire is what runs in a worker. */
const asModelsDo: Body = async (words, tick) => {
  let next = Promise.withResolvers<void>();
  const generation = {
    sampling: { temperature: 1, topP: 1, topK: 0, minP: 0, frequencyPenalty: 0, presencePenalty: 0, seed: 7 },
    ...{ maxTokens: words.length, stop: [], stream: true, includeUsage: true },
  };
  const answer = await generatedAnswer(
    {
      version: { engine: 'llama-cpp', llamaCpp: 'b1' },
      roomAfter: () => words.length,
      grammar: async () => undefined,
      async generate(_prompt, _generation, _grammar, onPart) {
        for (const text of words) {
          await next.promise;
          onPart({ kind: 'text', text });
        }
        await next.promise;
        return { text: words.join(''), calls: [], finish: 'stop', promptTokens: 9, completionTokens: words.length };
      },
    },
    { tokens: [], stopTriggers: [] },
    generation,
    { type: 'text' },
    {
      whole: () => ({}),
      part: (part) => ({ choices: [{ delta: { content: part.kind === 'text' ? part.text : '' } }] }),
      end: ({ finish }) => ({ choices: [{ delta: {}, finish_reason: finish }] }),
      usage: ({ completionTokens }) => ({ usage: { completion_tokens: completionTokens } }),
    },
    new AbortController().signal,
    async () => {
      const token = next;
      next = Promise.withResolvers<void>();
      token.resolve();
      // Until the engine has said its word.
      await new Promise((resolve) => setImmediate(resolve));
      await tick();
    },
  );
  return answer.body as AsyncIterable<string>;
};

/** The same events with nothing around them: what the test must be able to tell apart. */
const unpadded: Body = async (words, tick) =>
  (async function* () {
    for (const content of words) {
      await tick();
      yield event({ choices: [{ delta: { content } }] });
    }
  })();

/** Lengths of the chunks that hold the answer to a call, head and body, as the gateway passes them on. */
async function capture(words: readonly string[], body: Body): Promise<readonly number[]> {
  let seen = Promise.withResolvers<void>();
  let first = true;
  // A piece leaves when the one before is on the wire: no clock has a part in it.
  const tick = async (): Promise<void> => {
    if (!first) {
      await seen.promise;
      seen = Promise.withResolvers();
    }
    first = false;
  };
  parts.driver.run = async () => {
    const pieces = await body(words, tick);
    return {
      headers: [['content-type', 'text/event-stream']],
      body: (async function* () {
        for await (const piece of pieces) yield typeof piece === 'string' ? utf8(piece) : piece;
      })(),
    };
  };
  const { app, manifestId } = parts.addApp();
  const pair = framePair({
    worker: {
      onStream: (opened) =>
        void server
          .serve(opened, parseCallOpen(opened.header), new AbortController().signal)
          .finally(() => opened.reset('internal', 'through')),
    },
  });
  const stream = pair.gateway.mux.openStream(encodeCallOpen({ method: 'call', contentLength: null }));
  const sealed = await sealRequest({
    keyConfig: config,
    call: {
      ...{ app, manifest: manifestId, context: zeroBytes32, maxFee: 0n },
      ...{ callId: toBase64Url(randomBytes(16)), clientKey: new SecretBytes(randomBytes(32)) },
    },
    request: { method: 'POST', path: '/v1/chat/completions', headers: [], body: new Uint8Array() },
  });
  await stream.write(sealed.encapsulated);
  await stream.end();
  expect(parseCallHead(await stream.head()).status).toBe(200);
  const wire: Uint8Array[] = [];
  const tapped = async function* (): AsyncGenerator<Uint8Array> {
    for await (const bytes of stream) {
      wire.push(Uint8Array.from(bytes));
      yield bytes;
    }
  };
  for await (const part of sealed.openResponse().read(tapped(), { signal: AbortSignal.timeout(5_000) }))
    if (part.type === 'body') seen.resolve();
  // The last one is the receipt, whose numbers are those of the run.
  return splitAnswer(concatBytes(...wire))
    .chunks.slice(0, -1)
    .map(({ length }) => length);
}

const short = ['I', ' a', 'm', ' a', ' t', 'ee', '.'];
const long = [
  ...[
    'Antidisestablishmentarianism',
    ' Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft',
    ' 你好',
    '\u{1f600}\u{1f600}',
    ' floccinaucinihilipilification',
  ],
  ...[' supercalifragilisticexpialidocious', ' "\\\n\t"'],
];

test('two answers of as many chunks have the same lengths, chunk for chunk, whatever they say', async () => {
  const [one, other] = [await capture(short, asModelsDo), await capture(long, asModelsDo)];
  expect(one.length).toBeGreaterThan(short.length);
  expect(other).toEqual(one);
});

test('and would not have them if the pieces were not filled', async () => {
  const [one, other] = [await capture(short, unpadded), await capture(long, unpadded)];
  expect(other).toHaveLength(one.length);
  expect(other).not.toEqual(one);
});
