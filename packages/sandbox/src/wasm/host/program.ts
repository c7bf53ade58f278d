import { isMainThread } from 'node:worker_threads';
import { WasmRefusal } from '../meter/wasmRefusal.ts';
import { admitModule } from './admitModule.ts';
import type { RunReport } from './frames.ts';
import { ModuleRun, type PreparedModule } from './moduleRun.ts';
import { serveRuns } from './runThread.ts';
import { serveProgram } from './serveProgram.ts';

/** What the driver gives a process with its tenant's module. */
export type LoadedWorkload = {
  readonly env: { readonly [name: string]: string };
  readonly memoryBytes: number;
  readonly fuel?: number;
  readonly deterministic: boolean;
};

/** The module with the walls in it, or why it can't be run. */
async function prepare(head: unknown, code: Uint8Array): Promise<PreparedModule | RunReport> {
  const { env, memoryBytes, fuel, deterministic } = head as LoadedWorkload;
  try {
    const admitted = admitModule(code, { memoryBytes, fuel, deterministic });
    const module = await WebAssembly.compile(admitted.code);
    return { module, entry: admitted.entry, env, fuel, deterministic };
  } catch (error) {
    const message = error instanceof Error ? error.message : 'The module could not be read';
    if (error instanceof WasmRefusal && error.code === 'WASM_MEMORY')
      return { status: 'limit', limit: 'memory', message };
    return { status: 'app-error', message };
  }
}

if (isMainThread) serveProgram(process.argv.slice(2), prepare);
else serveRuns<PreparedModule>((prepared) => (request, send) => new ModuleRun(prepared, request, send));
