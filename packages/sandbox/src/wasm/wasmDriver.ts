import type { Workload } from '../sandbox.ts';
import { SandboxError } from '../sandboxError.ts';
import { ProgramDriver, type ProgramDriverOptions } from './programDriver.ts';
import { message } from './wasmData.ts';

export type WasmDriverOptions = ProgramDriverOptions;

/** Runs WebAssembly modules in Node.js, one process for each tenant, each call in an instance of its own. */
export class WasmDriver extends ProgramDriver {
  readonly kind = 'wasm';
  readonly runtimes = ['wasi-preview1'];
  protected readonly program = 'wasm/host/program';
  protected readonly loadMessage = moduleMessage;

  constructor(options: WasmDriverOptions = {}) {
    super(options);
  }

  protected admit({ outboundHosts: [host] }: Workload): void {
    if (host === undefined) return;
    throw new SandboxError({
      code: 'INVALID_WORKLOAD',
      message: `A module reaches no host, so the workload can't have "${host}" among its "outboundHosts"`,
      meta: { field: 'outboundHosts', value: host },
      hint: 'Leave them out',
    });
  }
}

function moduleMessage({ env, limits, deterministic = false, code }: Workload): Uint8Array {
  const { memoryBytes, fuel } = limits;
  return message({ env, memoryBytes, deterministic, ...(fuel === undefined ? {} : { fuel }) }, code);
}
