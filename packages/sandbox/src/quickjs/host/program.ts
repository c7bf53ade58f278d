import { isMainThread } from 'node:worker_threads';
import { frameKinds, jsonFrame, type RunReport } from '../../wasm/host/frames.ts';
import { type Runner, serveRuns } from '../../wasm/host/runThread.ts';
import { serveProgram } from '../../wasm/host/serveProgram.ts';
import { AppRun, type Begun, loadApp, type PreparedApp } from './appRun.ts';
import type { EngineHead } from './engineImage.ts';

/** What the driver gives a process with its tenant: this, then the engine's bytes and those of its memory, then the app's source. */
export type FunctionHead = EngineHead & {
  readonly env: { readonly [name: string]: string };
  readonly fuel: number;
  readonly memoryBytes: number;
};

/** The engine of the last workload: a process meets the same one again with its tenant. */
let compiled: { readonly memoryBytes: number; readonly module: WebAssembly.Module } | undefined;

async function prepare(head: unknown, bytes: Uint8Array): Promise<PreparedApp | RunReport> {
  const { env, fuel, memoryBytes, engineBytes, worldBytes, entry, ...registers } = head as FunctionHead;
  if (compiled?.memoryBytes !== memoryBytes)
    compiled = { memoryBytes, module: await WebAssembly.compile(bytes.slice(0, engineBytes)) };
  const sourceAt = engineBytes + worldBytes;
  const base = { snapshot: { ...registers, memory: bytes.slice(engineBytes, sourceAt) }, entry };
  return { module: compiled.module, base, source: bytes.slice(sourceAt), env, fuel };
}

/** The app's module runs with the first call of a thread; its outcome is the same on each. */
function runnerOf(prepared: PreparedApp): Runner {
  let loaded: Begun | RunReport | undefined;
  return (request, send) => {
    loaded ??= loadApp(prepared);
    if (!('status' in loaded)) return new AppRun(prepared, loaded, request, send);
    const report = loaded;
    return { run: () => send(jsonFrame(frameKinds.report, report)), memoryBytes: 0 };
  };
}

if (isMainThread) serveProgram(process.argv.slice(2), prepare);
else serveRuns<PreparedApp>(runnerOf);
