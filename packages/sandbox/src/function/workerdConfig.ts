import { execFile } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { SandboxError } from '../sandboxError.ts';
import { loaderSource } from './loaderSource.ts';

const run = promisify(execFile);

/** Compiles the configuration of a process whose JavaScript heap is capped, and gives the path of the result. */
export async function compileConfig(
  workerd: string,
  directory: string,
  heapMebibytes: number,
  signal: AbortSignal,
): Promise<string> {
  const name = `config-${heapMebibytes}`;
  const sources = join(directory, `${name}-source`);
  const path = join(directory, `${name}.bin`);
  try {
    await mkdir(sources, { recursive: true });
    await writeFile(join(sources, 'loader.js'), loaderSource);
    await writeFile(join(sources, 'config.capnp'), configText(heapMebibytes));
    const { stdout } = await run(workerd, ['compile', '--config-only', join(sources, 'config.capnp')], {
      encoding: 'buffer',
      signal,
      env: {},
      timeout: 20_000,
      maxBuffer: 1024 * 1024,
    });
    await writeFile(path, stdout, { mode: 0o644 });
    return path;
  } catch (error) {
    signal.throwIfAborted();
    throw new SandboxError({
      code: 'START_FAILED',
      message: `The function runtime "${workerd}" does not run`,
      hint: 'Run "npm ci" again on this machine: the runtime is a program for one kind of system',
      cause: error,
    });
  } finally {
    await rm(sources, { recursive: true, force: true });
  }
}

/**
 * The sockets' addresses are given on the command line. There is no network service: whatever the loader doesn't hand to
 * the gate or the door has nowhere to go, even without the outer walls.
 */
function configText(heapMebibytes: number): string {
  return `
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "loader", worker = .loader),
    (name = "internet", network = (allow = [])),
    (name = "gate", external = (address = "unix:gate", http = (style = proxy))),
    (name = "door", external = (address = "unix:door", http = ())),
  ],
  sockets = [
    (name = "data", address = "unix:data", http = (forwardedProtoHeader = "cloister-proto"), service = "loader"),
    (name = "control", address = "unix:control", http = (), service = (name = "loader", entrypoint = "Control")),
  ],
  v8Flags = ["--max-heap-size=${heapMebibytes}"],
  logging = (structuredLogging = true),
);
const loader :Workerd.Worker = (
  modules = [(name = "loader.js", esModule = embed "loader.js")],
  compatibilityDate = "2026-11-01",
  compatibilityFlags = ["experimental", "no_nodejs_compat", "no_nodejs_compat_v2"],
  bindings = [
    (name = "LOADER", workerLoader = (id = "loader")),
    (name = "GATE", service = "gate"),
    (name = "DOOR", service = "door"),
    (name = "OUTBOUND", service = (name = "loader", entrypoint = "Outbound")),
  ],
);
`;
}
