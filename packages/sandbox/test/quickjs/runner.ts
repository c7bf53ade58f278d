// Runs functions as the program inside the walls does, in this process: cases come as JSON on standard input, results go to
// standard output. The stack is that of the program's threads.
import { text } from 'node:stream/consumers';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { findEngine } from '../../src/quickjs/engine.ts';
import { AppRun, beginWorld, loadApp } from '../../src/quickjs/host/appRun.ts';
import { frameHeadBytes, frameKinds } from '../../src/wasm/host/frames.ts';
import { threadLimits } from '../../src/wasm/host/threadPool.ts';
import { confineModule } from '../../src/wasm/meter/confineModule.ts';
import type { Case, Result } from './cases.ts';

const memoryBytes = 32 * 1024 * 1024;

if (isMainThread) {
  const worker = new Worker(new URL(import.meta.url), {
    workerData: JSON.parse(await text(process.stdin)),
    resourceLimits: threadLimits,
    // What functions print is not a result.
    stdout: true,
  });
  worker.on('message', (results) => process.stdout.write(JSON.stringify(results)));
} else await runAll(workerData as readonly Case[]);

async function runAll(cases: readonly Case[]): Promise<void> {
  const { readFile } = await import('node:fs/promises');
  const plain = new Uint8Array(await readFile(await findEngine()));
  const options = { memoryBytes, fuel: Number.MAX_SAFE_INTEGER, deterministic: true };
  const module = await WebAssembly.compile(confineModule(plain, options) as Uint8Array<ArrayBuffer>);
  const base = beginWorld(module);
  parentPort?.postMessage(cases.map((each) => runOne(module, base, each)));
}

function runOne(module: WebAssembly.Module, base: ReturnType<typeof beginWorld>, each: Case): Result {
  const { source, env = {}, fuel = 1_000_000_000, method = 'GET', path = '/', headers = [], body = '' } = each;
  const prepared = { module, base, source: new Uint8Array(Buffer.from(source)), env, fuel };
  const loaded = loadApp(prepared);
  if ('status' in loaded) return { report: loaded };
  let result: Partial<Result> = {};
  const parts: Uint8Array[] = [];
  const request = { method, path, headers, body: new Uint8Array(Buffer.from(body)) };
  new AppRun(prepared, loaded, request, (frame) => {
    const payload = frame.subarray(frameHeadBytes);
    if (frame[0] === frameKinds.data) parts.push(payload);
    else if (frame[0] === frameKinds.head) result = { ...result, head: parse(payload) as NonNullable<Result['head']> };
    else result = { ...result, report: parse(payload) as Result['report'] };
  }).run();
  return { ...result, body: Buffer.concat(parts).toString('base64') } as Result;
}

function parse(bytes: Uint8Array): unknown {
  return JSON.parse(Buffer.from(bytes).toString());
}
