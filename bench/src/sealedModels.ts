import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CloisterClient, DeployOptions } from '@cloister/sdk';
import { type RunningDevnet, startDevnet } from '../../e2e/devnet.ts';
import { accountsOf } from '../../e2e/support/accounts.ts';
import { clientOf } from '../../e2e/support/apps.ts';
import { tinyOnnx } from '../../packages/sandbox/test/tinyOnnx.ts';
import { BarePeer } from './barePeer.ts';
import { benchModel } from './benchModel.ts';
import { type BenchLine, interleaved } from './measure.ts';

const engines = fileURLToPath(new URL('../../engines', import.meta.url));
const tokens = 64;
/** As many as a worker gives an engine. */
const threads = 1;
/** Calls that are under way at once. */
const atOnce = 8;

/**
 * The way of a private model from end to end, on a network of this machine: sealed by the client, through the gateway, behind the walls,
 * with the answer's receipt verified. Beside it the engine alone in a process with an HTTP server, without sealing, walls and receipts.
 * Milliseconds a token, whole and streamed; milliseconds a call of a small ONNX model with eight under way.
 */
export async function benchSealedModels(): Promise<readonly BenchLine[]> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cloister-bench-models-'));
  const network = await startDevnet({ args: ['--workers', '1'], signal: AbortSignal.timeout(180_000) });
  try {
    return [...(await languageModel(network, folder)), ...(await onnxModel(network, folder))];
  } finally {
    await network.stop();
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

async function languageModel(network: RunningDevnet, folder: string): Promise<readonly BenchLine[]> {
  const weights = path.join(folder, 'bench.gguf');
  fs.writeFileSync(weights, benchModel());
  const client = clientOf(network);
  const model = { contextTokens: 1024, maxTokens: tokens };
  const app = await deploy(client, network, 'llama-cpp', weights, { model });
  const question = (stream: boolean) =>
    json({ model: 'bench', prompt: 'the river', max_tokens: tokens, seed: 7, stream });
  const socketPath = path.join(folder, 'llama.sock');
  const program = fileURLToPath(new URL('bareLlama.ts', import.meta.url));
  const peer = new BarePeer({
    socketPath,
    command: [process.execPath, '--no-warnings', program, socketPath, weights, engines, `${tokens}`, `${threads}`],
    path: '/',
    body: question(false),
  });
  const stop = await peer.start();
  try {
    const lines: BenchLine[] = [];
    for (const [id, stream] of [
      ['model-token', false],
      ['model-token-streamed', true],
    ] as const) {
      const body = question(stream);
      const line = await interleaved({
        ...{ id, runs: 7, warmUps: 1 },
        ours: () => answered(client, app, '/v1/completions', body),
        peer: () => peer.call(),
      });
      const each = (ms: number) => Number((ms / tokens).toPrecision(4));
      lines.push({ ...line, ours: each(line.ours), peer: line.peer === null ? null : each(line.peer) });
    }
    return lines;
  } finally {
    await stop();
  }
}

async function onnxModel(network: RunningDevnet, folder: string): Promise<readonly BenchLine[]> {
  const weights = path.join(folder, 'tiny.onnx');
  fs.writeFileSync(weights, tinyOnnx());
  const client = clientOf(network);
  const app = await deploy(client, network, 'onnxruntime', weights);
  const body = json({ inputs: { x: { type: 'float32', shape: [1, 4], data: [1, 2, 3, 4] } } });
  const socketPath = path.join(folder, 'onnx.sock');
  const program = fileURLToPath(new URL('bareNode.ts', import.meta.url));
  const command = [process.execPath, '--no-warnings', program, 'onnx', socketPath, weights, engines];
  const peer = new BarePeer({ socketPath, command, path: '/v1/infer', body });
  const stop = await peer.start();
  try {
    const many = (call: () => Promise<unknown>) => Promise.all(Array.from({ length: atOnce }, call));
    const line = await interleaved({
      ...{ id: 'model-onnx-sealed', runs: 20, callsPerRun: 1, warmUps: 3 },
      ours: () => many(() => answered(client, app, '/v1/infer', body)),
      peer: () => many(() => peer.call()),
    });
    const each = (ms: number) => Number((ms / atOnce).toPrecision(4));
    return [{ ...line, ours: each(line.ours), peer: line.peer === null ? null : each(line.peer) }];
  } finally {
    await stop();
  }
}

async function deploy(
  client: CloisterClient,
  network: RunningDevnet,
  engine: 'llama-cpp' | 'onnxruntime',
  file: string,
  fields: DeployOptions['manifest'] = {},
): Promise<`0x${string}`> {
  const { developer } = accountsOf(network);
  const code = await client.storeWeights(fs.createReadStream(file));
  const runtime = { name: engine, compatibilityDate: '2026-11-01' };
  const manifest = { runtime, limits: { maxConcurrent: atOnce }, ...fields };
  return (await client.deploy({ account: developer.privateKey, kind: 'model', code, name: 'bench', manifest })).app;
}

/** One call, sealed, its receipt verified. */
async function answered(client: CloisterClient, app: `0x${string}`, where: string, body: Uint8Array): Promise<void> {
  const { outcome, receipt } = await client.call(app, { method: 'POST', path: where, body });
  if (outcome !== 'ok') throw new Error(`Expected an answer: ${JSON.stringify(receipt.details)}`);
}

function json(value: object): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}
