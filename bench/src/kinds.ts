import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  createFunctionDriver,
  createModelDriver,
  findWorkerd,
  type SandboxDriver,
  WasmDriver,
  type Workload,
} from '@cloister/sandbox';
import { tinyOnnx } from '../../packages/sandbox/test/tinyOnnx.ts';
import { command } from '../../packages/sandbox/test/wasm/snippets.ts';
import { BarePeer } from './barePeer.ts';

const MiB = 1024 * 1024;

/** What a kind is measured with: our driver with an app of it, and the bare runtime that does the same work. */
export type MeasuredKind = {
  readonly driver: SandboxDriver & { readonly readyCount: number };
  /** @param memoryBytes more than the waiting processes are for gets a process started for it */
  readonly workload: (memoryBytes: number) => Workload;
  readonly path: string;
  readonly body: Uint8Array;
  /** One of as many as are wanted, each with files of its own. */
  readonly peer: () => Promise<BarePeer>;
  readonly close: () => Promise<void>;
};

export type KindName = 'function' | 'wasm' | 'model-onnx';

export const kilobyte = new Uint8Array(1024).fill(1);
const source = 'export default { async fetch(request) { return new Response(await request.arrayBuffer()); } };';
/** Answers with up to 4 kB of what it is given. */
const echo = (): Uint8Array =>
  command(`(i32.store (i32.const 16) (i32.const 4096)) (i32.store (i32.const 20) (i32.const 4096))
    (drop (call $fd_read (i32.const 0) (i32.const 16) (i32.const 1) (i32.const 24)))
    (call $write (i32.const 1) (i32.const 4096) (i32.load (i32.const 24)))`);
const question = Buffer.from(JSON.stringify({ inputs: { x: { type: 'float32', shape: [1, 4], data: [1, 2, 3, 4] } } }));

/** @param pooled processes that wait; models have none */
export async function measuredKind(name: KindName, pooled: number): Promise<MeasuredKind> {
  const directory = await mkdtemp(join(tmpdir(), 'cloister-bench-'));
  const files = { module: join(directory, 'echo.wasm'), weights: join(directory, 'tiny.onnx') };
  const drivers = {
    function: () => createFunctionDriver({ pooled }),
    wasm: () => new WasmDriver({ pooled }),
    'model-onnx': () => createModelDriver(),
  };
  await writeFile(files.module, echo());
  await writeFile(files.weights, tinyOnnx(), { mode: 0o444 });
  const driver = drivers[name]();
  await driver.start({ signal: new AbortController().signal });
  const [path, body] = name === 'model-onnx' ? (['/v1/infer', question] as const) : (['/', kilobyte] as const);
  let peers = 0;
  return {
    driver,
    path,
    body,
    workload: (memoryBytes) => workloadOf(name, memoryBytes, files.weights),
    async peer() {
      peers += 1;
      const socketPath = join(directory, `peer-${peers}.sock`);
      const commandLine =
        name === 'function' ? await workerd(directory, socketPath, peers) : node(name, socketPath, files);
      return new BarePeer({ socketPath, command: commandLine, path, body });
    },
    async close() {
      await driver.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

export function workloadOf(name: KindName, memoryBytes: number, weightsFile: string): Workload {
  const base = {
    tenant: `0x${'11'.repeat(32)}`,
    version: `0x${'22'.repeat(32)}`,
    env: {},
    outboundHosts: [],
    limits: { memoryBytes, wallMs: 30_000, outputBytes: MiB, maxConcurrent: 4 },
  } as const;
  if (name === 'function') return { ...base, kind: 'function', code: new TextEncoder().encode(source) };
  if (name === 'wasm') return { ...base, kind: 'wasm', code: echo() };
  const model = { engine: 'onnxruntime', name: 'tiny', weightsFile, contextTokens: 1, maxTokens: 1 } as const;
  return { ...base, kind: 'model', code: new Uint8Array(), model };
}

function node(
  name: KindName,
  socketPath: string,
  { module, weights }: { readonly module: string; readonly weights: string },
): string[] {
  const program = fileURLToPath(new URL('bareNode.ts', import.meta.url));
  const engines = fileURLToPath(new URL('../../engines', import.meta.url));
  const what = name === 'wasm' ? ['wasm', socketPath, module] : ['onnx', socketPath, weights, engines];
  return [process.execPath, '--no-warnings', program, ...what];
}

async function workerd(directory: string, socketPath: string, number: number): Promise<string[]> {
  const config = join(directory, `config-${number}.capnp`);
  await writeFile(join(directory, 'worker.js'), source);
  await writeFile(
    config,
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .worker), (name = "internet", network = (allow = []))],
  sockets = [(name = "http", address = "unix:${socketPath}", http = (), service = "main")],
);
const worker :Workerd.Worker = (
  modules = [(name = "worker.js", esModule = embed "worker.js")],
  compatibilityDate = "2026-11-01",
);
`,
  );
  return [findWorkerd(), 'serve', '--control-fd=3', config];
}
