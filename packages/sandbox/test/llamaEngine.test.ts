import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { tinyModel } from '../../../examples/chat/tinyModel.ts';
import { createModelDriver, type ModelDriver, type Tenant } from '../src/index.ts';
import { streamSizes } from '../src/model/engines/openai/pacedStream.ts';
import { call, never, type WorkloadOverrides } from './calls.ts';
import { functionWorkload } from './functionWorkload.ts';

const messages = [{ role: 'user', content: 'tell me about the river' }];
const request = { model: 'tiny', messages, seed: 3, temperature: 1, max_tokens: 20 };

describe('a GGUF model on llama.cpp', () => {
  let driver: ModelDriver;
  let folder: string;
  let tenant: Tenant;

  const open = async (
    name: string,
    bytes: Uint8Array,
    { maxTokens = 64, ...overrides }: WorkloadOverrides & { readonly maxTokens?: number } = {},
  ): Promise<Tenant> => {
    const weightsFile = join(folder, name);
    await writeFile(weightsFile, bytes, { mode: 0o444 });
    const model = { engine: 'llama-cpp', name: 'tiny', weightsFile, contextTokens: 512, maxTokens } as const;
    const limits = { wallMs: 30_000, ...overrides.limits };
    return driver.open(functionWorkload('', { kind: 'model', model, ...overrides, limits }), { signal: never });
  };
  const post = async (path: string, body: unknown, of = tenant) => {
    const bytes = new TextEncoder().encode(typeof body === 'string' ? body : JSON.stringify(body));
    const answer = await call(of, path, { method: 'POST', body: bytes });
    const text = answer.body.toString();
    return { ...answer, text, json: text.startsWith('{') ? JSON.parse(text) : undefined };
  };
  const chat = (body: object = {}) => post('/v1/chat/completions', { ...request, ...body });
  const contentOf = ({ json }: { json: { choices: { message: { content: string } }[] } }) =>
    json.choices[0]?.message.content ?? '';

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cloister-llama-'));
    driver = createModelDriver();
    await driver.start({ signal: never });
    tenant = await open('tiny.gguf', tinyModel());
  });
  afterAll(async () => {
    await driver.stop();
    await rm(folder, { recursive: true });
  });

  test('answers a chat, counts its tokens and says how they were chosen', async () => {
    const { status, outcome, json } = await chat();
    expect(status).toBe(200);
    expect(json).toMatchObject({
      object: 'chat.completion',
      model: 'tiny',
      choices: [{ index: 0, message: { role: 'assistant' }, finish_reason: 'length' }],
      usage: { completion_tokens: 20 },
    });
    expect(json.choices[0].message.content.split(' ').length).toBeGreaterThan(10);
    expect(outcome).toMatchObject({
      status: 'ok',
      report: {
        promptTokens: json.usage.prompt_tokens,
        completionTokens: 20,
        finish: 'length',
        sampling: { temperature: 1, topP: 1, seed: 3 },
      },
    });
  });

  test('a seed decides the answer; without one, one is chosen and named', async () => {
    const first = await chat();
    expect(contentOf(await chat())).toBe(contentOf(first));
    expect(contentOf(await chat({ seed: 4 }))).not.toBe(contentOf(first));
    const chosen = await chat({ seed: undefined });
    const sampling = chosen.outcome.report?.sampling as { seed: number } | undefined;
    const seed = sampling?.seed;
    expect(contentOf(await chat({ seed }))).toBe(contentOf(chosen));
  });

  test('reads its own template: the same words in other roles are another prompt', async () => {
    const system = await chat({ messages: [{ role: 'system', content: 'be short' }, ...messages] });
    const developer = await chat({ messages: [{ role: 'developer', content: 'be short' }, ...messages] });
    const user = await chat({ messages: [{ role: 'user', content: 'be short' }, ...messages] });
    expect(contentOf(developer)).toBe(contentOf(system));
    expect(contentOf(user)).not.toBe(contentOf(system));
  });

  test('streams the same text in pieces of few lengths, with the counts where they are asked for', async () => {
    const chunks: Buffer[] = [];
    const { body, finished, headers } = await tenant.invoke(
      {
        method: 'POST',
        path: '/v1/chat/completions',
        headers: [],
        body: new TextEncoder().encode(
          JSON.stringify({ ...request, stream: true, stream_options: { include_usage: true } }),
        ),
      },
      { signal: never },
    );
    for await (const chunk of body) chunks.push(Buffer.from(chunk));
    expect(new Map(headers).get('content-type')).toBe('text/event-stream');
    expect(chunks.every(({ length }) => length % streamSizes[0] === 0)).toBe(true);
    const events = Buffer.concat(chunks)
      .toString()
      .split('\n\n')
      .filter((line) => line.startsWith('data: '))
      .map((line) => line.slice('data: '.length));
    expect(events.at(-1)).toBe('[DONE]');
    const parsed = events.slice(0, -1).map((event) => JSON.parse(event));
    const text = parsed.map(({ choices }) => choices[0]?.delta.content ?? '').join('');
    const whole = await chat();
    expect(text).toBe(contentOf(whole));
    expect(parsed.at(-1)).toMatchObject({ choices: [], usage: whole.json.usage });
    expect(parsed.at(-2).choices[0].finish_reason).toBe('length');
    expect((await finished).report).toMatchObject({ completionTokens: 20 });
  });

  test('continues a plain text', async () => {
    const prompt = 'the river';
    const { json, status } = await post('/v1/completions', { model: 'tiny', prompt, seed: 1, max_tokens: 5 });
    expect(status).toBe(200);
    expect(json).toMatchObject({ object: 'text_completion', usage: { completion_tokens: 5 } });
    expect(json.choices[0].text.length).toBeGreaterThan(5);
  });

  test('stops before a stop text, and at the most tokens that the manifest allows', async () => {
    const whole = contentOf(await chat());
    const word = whole.split(' ')[4] ?? '';
    const stopped = await chat({ stop: [` ${word}`] });
    expect(stopped.json.choices[0].finish_reason).toBe('stop');
    expect(contentOf(stopped)).not.toContain(word);
    expect(whole.startsWith(contentOf(stopped))).toBe(true);
    const most = await chat({ max_tokens: 100_000, logit_bias: undefined });
    expect(most.json.usage.completion_tokens).toBeLessThanOrEqual(64);
  });

  test('keeps to a schema, and to JSON', async () => {
    const schema = {
      type: 'object',
      properties: { kind: { enum: ['river', 'road'] }, old: { type: 'boolean' } },
      required: ['kind', 'old'],
      additionalProperties: false,
    };
    const format = { type: 'json_schema', json_schema: { name: 'place', schema, strict: true } };
    for (const seed of [1, 2, 3]) {
      const { json, outcome } = await chat({ seed, response_format: format, max_tokens: 64 });
      const value = JSON.parse(json.choices[0].message.content);
      expect(['river', 'road']).toContain(value.kind);
      expect(typeof value.old).toBe('boolean');
      expect(outcome.report?.output).toBe('schema');
    }
    const any = await chat({ response_format: { type: 'json_object' } });
    expect(contentOf(any).trimStart()).toMatch(/^[[{"\d\-tfn]/);
  });

  test('embeds texts, as numbers and as base64', async () => {
    const input = ['the old river', 'the new road'];
    const floats = await post('/v1/embeddings', { model: 'tiny', input });
    expect(floats.status).toBe(200);
    const [first, second] = floats.json.data.map(({ embedding }: { embedding: number[] }) => embedding);
    expect(first).toHaveLength(64);
    expect(second).not.toEqual(first);
    const packed = await post('/v1/embeddings', { model: 'tiny', input: input[0], encoding_format: 'base64' });
    const bytes = Buffer.from(packed.json.data[0].embedding, 'base64');
    expect(Array.from({ length: 64 }, (_, index) => bytes.readFloatLE(index * 4))).toEqual(
      first.map((value: number) => Math.fround(value)),
    );
  });

  test('lists the one model that it serves', async () => {
    const { body } = await call(tenant, '/v1/models');
    expect(JSON.parse(body.toString()).data).toEqual([
      { id: 'tiny', object: 'model', created: 0, owned_by: 'cloister' },
    ]);
    expect((await call(tenant, '/v1/models/tiny')).status).toBe(200);
    expect((await call(tenant, '/v1/models/other')).status).toBe(404);
  });

  test('nothing of a call is left for the next: the same prompt is read anew, whoever came between', async () => {
    const first = await chat();
    await chat({ messages: [{ role: 'user', content: 'an other secret of an other caller' }] });
    const again = await chat();
    expect(contentOf(again)).toBe(contentOf(first));
    // A cached prefix would not be counted: what is counted is what was read.
    expect(again.json.usage).toEqual(first.json.usage);
  });

  test('calls at once get the answers that each gets alone', async () => {
    const seeds = [11, 12, 13, 14, 15, 16, 17, 18, 19, 20];
    const together = await Promise.all(seeds.map((seed) => chat({ seed })));
    for (const [index, seed] of seeds.entries())
      expect(contentOf(together[index] as never)).toBe(contentOf(await chat({ seed })));
  });

  test.each([
    ['no JSON', '{', 400, 'invalid_json'],
    ['a list', '[]', 400, 'invalid_json'],
    ['another model', { ...request, model: 'gpt-4' }, 404, 'model_not_found'],
    ['no messages', { ...request, messages: [] }, 400, 'invalid_value'],
    ['an odd role', { ...request, messages: [{ role: 'root', content: 'x' }] }, 400, 'unsupported_value'],
    [
      'an image',
      { ...request, messages: [{ role: 'user', content: [{ type: 'image_url' }] }] },
      400,
      'unsupported_value',
    ],
    ['what is not honoured', { ...request, logit_bias: { 5: 100 } }, 400, 'unsupported_parameter'],
    ['two answers', { ...request, n: 2 }, 400, 'unsupported_value'],
    ['a temperature out of range', { ...request, temperature: 3 }, 400, 'invalid_value'],
    ['half a token', { ...request, max_tokens: 0.5 }, 400, 'invalid_value'],
    ['too many stops', { ...request, stop: ['a', 'b', 'c', 'd', 'e'] }, 400, 'invalid_value'],
    [
      'a prompt longer than the context',
      { ...request, messages: [{ role: 'user', content: 'x'.repeat(2000) }] },
      400,
      'context_length_exceeded',
    ],
    [
      'the same as a stream',
      { ...request, stream: true, messages: [{ role: 'user', content: 'x'.repeat(2000) }] },
      400,
      'context_length_exceeded',
    ],
  ] as const)('refuses %s as the API does', async (_, body, status, code) => {
    const answer = await post('/v1/chat/completions', body);
    expect(answer.status).toBe(status);
    expect(answer.json.error).toMatchObject({ code, type: 'invalid_request_error' });
    expect(answer.outcome.status).toBe('ok');
  });

  test('refuses other paths and methods', async () => {
    expect((await call(tenant, '/v1/chat/completions')).status).toBe(405);
    expect((await call(tenant, '/v1/audio/speech', { method: 'POST' })).status).toBe(404);
    expect((await call(tenant, '/constructor', { method: 'POST' })).status).toBe(404);
  });

  test('a caller that goes away gives its place back', async () => {
    const one = await open('one.gguf', tinyModel(), { limits: { maxConcurrent: 1 }, maxTokens: 400 });
    const abort = new AbortController();
    // Without chance the model goes on to its limit: many pieces, of which one leaves in 100 ms.
    const long = { ...request, temperature: 0, stream: true, max_tokens: 400 };
    const { body: answer } = await one.invoke(
      {
        method: 'POST',
        path: '/v1/chat/completions',
        headers: [],
        body: new TextEncoder().encode(JSON.stringify(long)),
      },
      { signal: abort.signal },
    );
    let bytes = 0;
    await expect(
      (async () => {
        for await (const { length } of answer) {
          bytes += length;
          abort.abort();
        }
      })(),
    ).rejects.toMatchObject({ code: 'ABORTED' });
    await expect
      .poll(async () => (await post('/v1/chat/completions', request, one).catch(() => undefined))?.status, {
        timeout: 15_000,
      })
      .toBe(200);
    const whole = await post('/v1/chat/completions', long, one);
    expect(whole.text.length).toBeGreaterThan(Math.max(bytes, 4 * 512));
    await one.close();
  });

  test.each([
    ['no GGUF file', new Uint8Array(100), /no GGUF/],
    ['a file that is cut', tinyModel().subarray(0, 100_000), /ends at/],
    ['a header that is cut', tinyModel().subarray(0, 200), /are left/],
  ])('%s is an attested failure before any native code reads it', async (_, bytes, message) => {
    const broken = await open('broken.gguf', bytes);
    for (const path of ['/v1/models', '/v1/models'])
      expect((await call(broken, path)).outcome).toMatchObject({
        status: 'app-error',
        message: expect.stringMatching(message),
      });
    await broken.close();
  });

  test('weights that the engine cannot use fail in the call, and in this process alone', async () => {
    const bytes = Uint8Array.from(tinyModel());
    const text = Buffer.from(bytes.buffer);
    text.write('wrong', text.indexOf('llama.embedding_length') + 6, 'latin1');
    const broken = await open('wrong.gguf', bytes);
    expect((await call(broken, '/v1/models')).outcome.status).toBe('app-error');
    expect((await call(tenant, '/v1/models')).outcome.status).toBe('ok');
    await broken.close();
  });
});
