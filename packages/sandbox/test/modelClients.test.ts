import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { embedMany, generateText, isStepCount, jsonSchema, streamText, tool } from 'ai';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { tinyModel } from '../../../examples/chat/tinyModel.ts';
import { createModelDriver, type ModelDriver, type Tenant } from '../src/index.ts';
import { never } from './calls.ts';
import { functionWorkload } from './functionWorkload.ts';
import { modelFetch } from './modelFetch.ts';
import { scriptedModel } from './scriptedModel.ts';

const place = {
  type: 'object',
  properties: { kind: { enum: ['river', 'road'] }, old: { type: 'boolean' } },
  required: ['kind', 'old'],
  additionalProperties: false,
};
const look = {
  type: 'function',
  function: { name: 'look_at', description: 'Looks at a place', parameters: place },
} as const;
const wait = { type: 'function', function: { name: 'wait', description: 'Waits' } } as const;
const question = { role: 'user', content: 'tell me about the river' } as const;
const asked = { model: 'tiny', messages: [question], tools: [look, wait], temperature: 0, seed: 1, max_tokens: 60 };

/** What the clients that people have, unmodified, make of the endpoint. */
describe('clients of a model', () => {
  let driver: ModelDriver;
  let folder: string;
  let tenants: { readonly tiny: Tenant; readonly caller: Tenant };
  /** Words in no order. */
  let tiny: OpenAI;
  /** Begins each answer with a call, in the syntax of its template. */
  let caller: OpenAI;

  const open = async (name: string, bytes: Uint8Array, contextTokens = 2048): Promise<Tenant> => {
    const weightsFile = join(folder, name);
    await writeFile(weightsFile, bytes, { mode: 0o444 });
    const model = { engine: 'llama-cpp', name: 'tiny', weightsFile, contextTokens, maxTokens: 200 } as const;
    return driver.open(functionWorkload('', { kind: 'model', model, limits: { wallMs: 30_000 } }), { signal: never });
  };
  const baseURL = 'https://app.invalid/v1';
  const clientOf = (tenant: Tenant): OpenAI =>
    new OpenAI({ baseURL, apiKey: 'none', maxRetries: 0, fetch: modelFetch(tenant) });
  const refusalOf = (answer: Promise<unknown>) =>
    answer.then(
      () => undefined,
      ({ status, code, param }: { status: number; code: string; param: string }) => ({ status, code, param }),
    );

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cloister-tools-'));
    driver = createModelDriver();
    await driver.start({ signal: never });
    tenants = {
      tiny: await open('tiny.gguf', tinyModel()),
      caller: await open('caller.gguf', scriptedModel(['the road is', ' old ', '||call: ']), 1400),
    };
    tiny = clientOf(tenants.tiny);
    caller = clientOf(tenants.caller);
  });
  afterAll(async () => {
    await driver.stop();
    await rm(folder, { recursive: true });
  });

  test('a required call names one of the tools, with arguments of its schema', async () => {
    for (const seed of [1, 2]) {
      const { choices } = await tiny.chat.completions.create({
        ...{ ...asked, seed, temperature: 1 },
        tool_choice: 'required',
      });
      expect(choices[0]?.finish_reason).toBe('tool_calls');
      expect(choices[0]?.message.content).toBe(null);
      const [call, ...others] = choices[0]?.message.tool_calls ?? [];
      expect(others).toEqual([]);
      if (call?.type !== 'function') throw new Error('no call of a function');
      expect(call.id).toMatch(/^call_[0-9a-f]{24}$/);
      expect(['look_at', 'wait']).toContain(call.function.name);
      const given = JSON.parse(call.function.arguments);
      if (call.function.name === 'wait') expect(given).toEqual({});
      else {
        expect(Object.keys(given)).toEqual(['kind', 'old']);
        expect(['river', 'road']).toContain(given.kind);
        expect(typeof given.old).toBe('boolean');
      }
    }
  });

  test('a named tool is called, and only it', async () => {
    for (const name of ['look_at', 'wait']) {
      const { choices } = await tiny.chat.completions.create({
        ...asked,
        tool_choice: { type: 'function', function: { name } },
      });
      expect(choices[0]?.message.tool_calls).toMatchObject([{ type: 'function', function: { name } }]);
    }
  });

  test('left to itself, a model answers with text, or with text and a call', async () => {
    const text = await tiny.chat.completions.create({ ...asked, max_tokens: 10 });
    expect(text.choices[0]?.message.tool_calls).toBe(undefined);
    expect(text.choices[0]?.message.content?.length).toBeGreaterThan(10);
    const { choices, usage } = await caller.chat.completions.create(asked);
    expect(choices[0]?.message.content).toMatch(/^the road is old *$/);
    expect(choices[0]?.finish_reason).toBe('tool_calls');
    expect(choices[0]?.message.tool_calls?.length).toBe(1);
    expect(usage?.completion_tokens).toBeGreaterThan(3);
    const none = await caller.chat.completions.create({ ...asked, tool_choice: 'none' });
    expect(none.choices[0]?.message.tool_calls).toBe(undefined);
  });

  test('streamed deltas make up the same call', async () => {
    for (const client of [tiny, caller]) {
      const body = { ...asked, tool_choice: client === tiny ? ('required' as const) : ('auto' as const) };
      const whole = (await client.chat.completions.create(body)).choices[0]?.message;
      const streamed = { content: '', name: '', id: '', arguments: '', finish: '' };
      for await (const { choices } of await client.chat.completions.create({ ...body, stream: true })) {
        const { delta, finish_reason: finish } = choices[0] ?? { delta: {}, finish_reason: null };
        streamed.content += delta.content ?? '';
        for (const call of delta.tool_calls ?? []) {
          expect(call.index).toBe(0);
          streamed.id += call.id ?? '';
          streamed.name += call.function?.name ?? '';
          streamed.arguments += call.function?.arguments ?? '';
        }
        streamed.finish += finish ?? '';
      }
      const [call] = whole?.tool_calls ?? [];
      if (call?.type !== 'function') throw new Error('no call of a function');
      expect(streamed).toEqual({
        content: whole?.content ?? '',
        name: call.function.name,
        arguments: call.function.arguments,
        id: expect.stringMatching(/^call_[0-9a-f]{24}$/),
        finish: 'tool_calls',
      });
    }
  });

  test('what a tool answered is part of the next prompt', async () => {
    const called = {
      id: 'call_1',
      type: 'function',
      function: { name: 'look_at', arguments: '{"kind":"road","old":true}' },
    };
    const after = (content: string) =>
      tiny.chat.completions.create({
        ...asked,
        messages: [
          question,
          { role: 'assistant', content: null, refusal: null, tool_calls: [called] } as never,
          { role: 'tool', tool_call_id: 'call_1', content },
        ],
      });
    const [wet, dry, again] = [await after('wet'), await after('dry after a long day'), await after('wet')];
    expect(wet.usage?.prompt_tokens).toBeLessThan(dry.usage?.prompt_tokens ?? 0);
    expect(dry.choices[0]?.message.content).not.toBe(wet.choices[0]?.message.content);
    expect(again.choices[0]?.message).toEqual(wet.choices[0]?.message);
  });

  test('a cut answer says so, and a context that is full ends it', async () => {
    const cut = await tiny.chat.completions.create({ ...asked, tool_choice: 'required', max_tokens: 2 });
    expect(cut.choices[0]?.finish_reason).toBe('length');
    expect(cut.usage?.completion_tokens).toBe(2);
    const long = { type: 'object', properties: { all: { type: 'array', minItems: 100, items: { enum: ['river'] } } } };
    const tool = { type: 'function', function: { name: 'list', parameters: long } } as const;
    const full = await caller.chat.completions.create({
      ...asked,
      max_tokens: 5000,
      tools: [tool],
      tool_choice: 'required',
    });
    expect(full.choices[0]?.finish_reason).toBe('length');
  });

  test('keywords that a grammar has no form for are hints, and refused by name where a schema is strict', async () => {
    const parameters = {
      type: 'object',
      properties: {
        at: { anyOf: [{ type: 'integer', minimum: 1 }, { type: 'null' }] },
        kind: { $ref: '#/definitions/kind' },
      },
      definitions: { kind: { const: 'road' } },
    };
    const body = (strict: boolean) => ({
      ...{ ...asked, tool_choice: 'required' as const },
      tools: [{ type: 'function' as const, function: { name: 'look', parameters, strict } }],
    });
    const { choices } = await tiny.chat.completions.create(body(false));
    const [call] = choices[0]?.message.tool_calls ?? [];
    if (call?.type !== 'function') throw new Error('no call of a function');
    const given = JSON.parse(call.function.arguments);
    expect(given.kind).toBe('road');
    expect(given.at === null || Number.isInteger(given.at)).toBe(true);
    expect(await refusalOf(tiny.chat.completions.create(body(true)))).toEqual({
      ...{ status: 400, code: 'invalid_json_schema' },
      param: 'tools[0].function.parameters.properties.at.anyOf[0]',
    });
  });

  const call = { id: 'a', type: 'function', function: { name: 'wait', arguments: '{}' } };
  test.each([
    ['a tool that is no function', { tools: [{ type: 'web_search' }] }, 'unsupported_value', 'tools[0].type'],
    [
      'an odd name',
      { tools: [{ type: 'function', function: { name: 'a b' } }] },
      'invalid_value',
      'tools[0].function.name',
    ],
    ['a tool twice', { tools: [wait, wait] }, 'invalid_value', 'tools'],
    ['a field of a tool', { tools: [{ ...wait, cache: true }] }, 'unsupported_parameter', 'tools[0].cache'],
    [
      'arguments that are no object',
      { tools: [{ type: 'function', function: { name: 'a', parameters: { type: 'string' } } }] },
      'invalid_value',
      'tools[0].function.parameters',
    ],
    [
      'a choice of another tool',
      { tool_choice: { type: 'function', function: { name: 'run' } } },
      'invalid_value',
      'tool_choice',
    ],
    ['a required call without tools', { tools: [], tool_choice: 'required' }, 'invalid_value', 'tool_choice'],
    ['tools beside a form', { response_format: { type: 'json_object' } }, 'unsupported_value', 'response_format'],
    ['the functions of old', { functions: [{ name: 'a' }] }, 'unsupported_parameter', 'functions'],
    ['a name in a message', { messages: [{ ...question, name: 'ann' }] }, 'unsupported_parameter', 'messages[0].name'],
    [
      'an answer to no call',
      { messages: [question, { role: 'tool', tool_call_id: 'a', content: '' }] },
      'invalid_value',
      'messages[1].tool_call_id',
    ],
    [
      'a call without its answer',
      { messages: [question, { role: 'assistant', tool_calls: [call] }, question] },
      'invalid_value',
      'messages[2]',
    ],
    [
      'a call at the end',
      { messages: [question, { role: 'assistant', tool_calls: [call] }] },
      'invalid_value',
      'messages[1]',
    ],
    [
      'calls with one id',
      { messages: [question, { role: 'assistant', tool_calls: [call, call] }] },
      'invalid_value',
      'messages[1].tool_calls',
    ],
  ])('refuses %s by name', async (_, changes, code, param) => {
    const body = { ...asked, ...changes } as never;
    expect(await refusalOf(tiny.chat.completions.create(body))).toEqual({ status: 400, code, param });
  });

  test('the AI SDK generates, streams, embeds and calls a tool', async () => {
    const modelsOf = (tenant: Tenant) =>
      createOpenAICompatible({ name: 'cloister', baseURL, fetch: modelFetch(tenant) });
    const [plain, calling] = [modelsOf(tenants.tiny), modelsOf(tenants.caller)];
    const prompt = { prompt: question.content, seed: 1, temperature: 0, maxOutputTokens: 12, maxRetries: 0 };
    const whole = await generateText({ ...prompt, model: plain.chatModel('tiny') });
    expect(whole.text.length).toBeGreaterThan(10);
    expect(whole.usage.outputTokens).toBe(12);
    let streamed = '';
    for await (const text of streamText({ ...prompt, model: plain.chatModel('tiny') }).textStream) streamed += text;
    expect(streamed).toBe(whole.text);
    const { embeddings } = await embedMany({ model: plain.embeddingModel('tiny'), values: ['a river', 'a road'] });
    expect(embeddings.map(({ length }) => length)).toEqual([64, 64]);
    const seen: unknown[] = [];
    const lookAt = tool({
      inputSchema: jsonSchema<{ kind: string; old: boolean }>(place as never),
      execute: async (input) => {
        seen.push(input);
        return 'nothing there';
      },
    });
    const { steps } = await generateText({
      ...{ ...prompt, maxOutputTokens: 60, stopWhen: isStepCount(2) },
      ...{ model: calling.chatModel('tiny'), tools: { look_at: lookAt } },
    });
    expect(steps[0]?.toolCalls.map(({ toolName }) => toolName)).toEqual(['look_at']);
    expect(seen[0]).toEqual({ kind: expect.stringMatching(/^(river|road)$/), old: expect.any(Boolean) });
    expect(steps.length).toBe(2);
  });
});
