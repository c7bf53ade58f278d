import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import type { Bytes32 } from '@cloister/core';
import { sha256, toHex } from '@cloister/crypto';
import { createClient } from '@cloister/sdk';
import { streamText } from 'ai';
import OpenAI from 'openai';
import { tinyModel } from '../../examples/chat/tinyModel.ts';
import { tinyOnnx } from '../../packages/sandbox/test/tinyOnnx.ts';
import { inRoot } from '../../scripts/lib/paths.ts';
import { runNode } from '../../scripts/lib/runProcess.ts';
import type { Scenario } from '../scenario.ts';
import { clientOf, textOf } from '../support/apps.ts';
import { captureFetch } from '../support/captureFetch.ts';
import { linesOf, runLines } from '../support/docLines.ts';
import { cloisterJson, startCloister } from '../support/programs.ts';
import { until } from '../support/until.ts';

const question = {
  model: 'tiny',
  messages: [{ role: 'user' as const, content: 'tell me about the river' }],
  ...{ seed: 7, temperature: 1, max_tokens: 24 },
};

export const scenario: Scenario = {
  title:
    'The unmodified OpenAI client chats in private with a model deployed from its file, and every answer has its proof',
  engines: true,
  timeoutMs: 400_000,
  async run({ network: start, folder, signal, note }) {
    const network = await start();
    const client = clientOf(network);
    const weights = tinyModel();

    note('deploy the file');
    fs.writeFileSync(path.join(folder, 'tiny.gguf'), weights);
    const limits = ['--context-tokens', '2048', '--max-tokens', '64'];
    const deploy = ['deploy', 'tiny.gguf', '--network', network.file, ...limits];
    const deployed = await cloisterJson<{ app: Bytes32; manifestId: Bytes32 }>(deploy, folder, signal);
    assert.equal(deployed.code, 0, JSON.stringify(deployed.json));
    const { app, manifestId } = deployed.json;

    note('chat, whole and streamed, with our fetch');
    const openai = new OpenAI({ baseURL: 'https://app.invalid/v1', apiKey: 'none', fetch: client.fetchFor(app) });
    assert.deepEqual(
      (await openai.models.list()).data.map(({ id }) => id),
      ['tiny'],
    );
    const whole = await openai.chat.completions.create(question);
    const text = whole.choices[0]?.message.content ?? '';
    assert.ok(text.length > 20, text);
    assert.equal(await streamedBy(openai), text);
    const { data } = await openai.embeddings.create({ model: 'tiny', input: ['a river', 'a road'] });
    assert.deepEqual(
      data.map(({ embedding }) => embedding.length),
      [64, 64],
    );
    await assert.rejects(openai.chat.completions.create({ ...question, model: 'gpt-4' }), { status: 404 });

    note('a tool, called by the grammar; and the AI SDK with our fetch');
    const called = await openai.chat.completions.create({ ...question, ...oneTool, max_tokens: 60 });
    const [call] = called.choices[0]?.message.tool_calls ?? [];
    assert.ok(call?.type === 'function' && called.choices[0]?.finish_reason === 'tool_calls');
    assert.match(JSON.parse(call.function.arguments).kind, /^(river|road)$/);
    const provider = createOpenAICompatible({
      name: 'cloister',
      baseURL: 'https://app.invalid/v1',
      fetch: client.fetchFor(app),
    });
    const { seed, temperature, max_tokens: maxOutputTokens } = question;
    const spoken = streamText({
      model: provider.chatModel('tiny'),
      ...{ messages: question.messages, seed, temperature, maxOutputTokens, maxRetries: 0 },
    });
    assert.equal(await spoken.text, text);

    note('the lines of docs/models.md, as they stand there');
    const lines = await linesOf('docs/models.md', 'client.exchangeFor(app)');
    const checked = await runLines(lines, { client, app }, ['answer', 'signed', 'ok', 'steps']);
    assert.ok((checked.answer as string).length > 10);
    assert.equal(checked.ok, true, JSON.stringify(checked.steps));

    note('what passes the gateway of a stream is whole pieces of few sizes, whatever the text');
    await lookAtStreams(network, app);

    note('the receipt names weights, engine, sampling and counts; the proof holds, with the streamed answer opened');
    const body = new TextEncoder().encode(JSON.stringify({ ...question, stream: true }));
    const result = await client.call(app, { method: 'POST', path: '/v1/chat/completions', body });
    assert.equal(result.outcome, 'ok');
    assert.equal(result.receipt.receipt.manifest, manifestId);
    const { model, kind } = result.receipt.details as { kind: string; model: Record<string, unknown> };
    assert.deepEqual([kind, model.engine, model.weights], ['model', 'llama-cpp', toHex(sha256(weights))]);
    const run = model.run as { completionTokens: number; sampling: { seed: number } };
    assert.deepEqual([run.completionTokens, run.sampling.seed], [24, 7]);
    const proof = path.join(folder, 'proof.json');
    fs.writeFileSync(proof, JSON.stringify(client.proof(result, { answer: true })));
    const verify = ['verify', proof, '--network', network.file];
    const verdict = await cloisterJson<{ ok: boolean; outcome: string }>(verify, folder, signal);
    assert.deepEqual(
      [verdict.code, verdict.json.ok, verdict.json.outcome],
      [0, true, 'ok'],
      JSON.stringify(verdict.json),
    );

    note('any other client, through cloister proxy');
    const proxy = startCloister(['--json', '--network', network.file, 'proxy', '--app', app], folder);
    try {
      await until('the proxy listens', async () => proxy.output().includes('"ready":true'), { signal });
      const { url } = JSON.parse(proxy.output().trim()) as { url: string };
      const plain = new OpenAI({ baseURL: `${url.replace(/\/$/, '')}/v1`, apiKey: 'none' });
      const { data: answer, response } = await plain.chat.completions.create(question).withResponse();
      assert.equal(answer.choices[0]?.message.content, text);
      assert.match(response.headers.get('x-cloister-receipt') ?? '', /^ok/);
      assert.equal(await streamedBy(plain), text);
    } finally {
      assert.equal(await proxy.stop(), 0, proxy.output());
    }

    note('the example');
    const example = [inRoot('examples/chat/chat.ts'), '--network', network.file, '--app', app, 'Hello'];
    const { code, stdout, stderr } = await runNode(example, { cwd: inRoot(), signal, timeoutMs: 60_000 });
    assert.equal(code, 0, stderr);
    assert.ok(stdout.trim().length > 0);

    note('a model of another sort: tensors in, tensors out');
    fs.writeFileSync(path.join(folder, 'score.onnx'), tinyOnnx());
    const scored = await cloisterJson<{ app: Bytes32 }>(
      ['deploy', 'score.onnx', '--network', network.file],
      folder,
      signal,
    );
    assert.equal(scored.code, 0, JSON.stringify(scored.json));
    const inputs = { x: { type: 'float32', shape: [1, 4], data: [1, 2, 3, 4] } };
    const infer = async (model: Bytes32, engine: string): Promise<string> => {
      const inferred = await client.call(model, {
        ...{ method: 'POST', path: '/v1/infer' },
        body: new TextEncoder().encode(JSON.stringify({ inputs })),
      });
      assert.equal(inferred.outcome, 'ok', textOf(inferred));
      assert.equal((inferred.receipt.details.model as Record<string, unknown>).engine, engine);
      return textOf(inferred);
    };
    const native = await infer(scored.json.app, 'onnxruntime');
    assert.deepEqual(JSON.parse(native).outputs.y.shape, [1, 2]);

    note('the same file on the second engine, which its cloister.json names');
    const again = path.join(folder, 'score-again');
    fs.mkdirSync(again);
    fs.writeFileSync(path.join(again, 'score.onnx'), tinyOnnx());
    const runtime = { name: 'onnxruntime-web' };
    fs.writeFileSync(path.join(again, 'cloister.json'), JSON.stringify({ main: 'score.onnx', runtime }));
    const web = await cloisterJson<{ app: Bytes32 }>(['deploy', again, '--network', network.file], folder, signal);
    assert.equal(web.code, 0, JSON.stringify(web.json));
    assert.equal(await infer(web.json.app, 'onnxruntime-web'), native);

    note('a file that is no model is an attested failure, and the model goes on');
    fs.writeFileSync(path.join(folder, 'broken.gguf'), weights.subarray(0, 100_000));
    const broken = await cloisterJson<{ app: Bytes32; manifestId: Bytes32 }>(
      ['deploy', 'broken.gguf', '--network', network.file],
      folder,
      signal,
    );
    const failed = await client.call(broken.json.app, { path: '/v1/models' });
    assert.deepEqual([failed.outcome, failed.receipt.receipt.manifest], ['app-error', broken.json.manifestId]);
    assert.equal((await client.call(app, { path: '/v1/models' })).outcome, 'ok');
  },
};

const oneTool = {
  tools: [
    {
      type: 'function' as const,
      function: {
        name: 'look_at',
        parameters: { type: 'object', properties: { kind: { enum: ['river', 'road'] } }, required: ['kind'] },
      },
    },
  ],
  tool_choice: 'required' as const,
};

/**
 * The most that a sealed chunk of this length can hold and be whole pieces of a stream, whose sizes are multiples of 512: with 4 bytes before
 * them padded to the next 128, above 2,048 to the next 512, a tag of 16 after them, and a header of 4.
 */
function wholePiecesIn(sealedBytes: number): number {
  const padded = sealedBytes - 4 - 16;
  return padded <= 2_048 ? padded - 128 : padded - 512;
}

/**
 * Streams answers of many texts, and looks at what the client got from the gateway: the chunks are as long as they would be if each held
 * whole pieces, and those together are exactly what was in them, so nothing else was. How many leave together on a busy machine is the
 * machine's doing, not the text's; that two texts of as many chunks look the same is tested in the worker, where nothing else decides.
 */
async function lookAtStreams(network: Parameters<typeof clientOf>[0], app: Bytes32): Promise<void> {
  const capture = captureFetch();
  const ask = createClient({ network: network.network, fetch: capture.fetch }).fetchFor(app);
  for (let seed = 100, chunks = 0; chunks < 24; seed += 1) {
    assert.ok(seed < 160, `60 answers came in ${chunks} chunks`);
    const response = await ask('https://app.invalid/v1/chat/completions', {
      method: 'POST',
      body: JSON.stringify({ ...question, seed, max_tokens: seed % 2 === 0 ? 30 : 60, stream: true }),
    });
    const bytes = (await response.arrayBuffer()).byteLength;
    // The head comes first, and last what ends the answer with its receipt.
    const pieces = capture.lastLengths().slice(1, -1).map(wholePiecesIn);
    assert.equal(
      pieces.reduce((sum, piece) => sum + piece, 0),
      bytes,
      `chunks of ${pieces}`,
    );
    assert.ok(
      pieces.every((piece) => piece % 512 === 0),
      String(pieces),
    );
    chunks += pieces.length;
  }
}

/** The question's answer, piece by piece. */
async function streamedBy(openai: OpenAI, changes: Partial<typeof question> = {}): Promise<string> {
  let text = '';
  for await (const chunk of await openai.chat.completions.create({ ...question, ...changes, stream: true }))
    text += chunk.choices[0]?.delta.content ?? '';
  return text;
}
