import type { Workload } from '../sandbox.ts';
import { SandboxError } from '../sandboxError.ts';
import type { RunDirectory } from '../tenant/runDirectory.ts';
import { ProgramDriver, type ProgramDriverOptions, type StartedProgram } from '../wasm/programDriver.ts';
import { message } from '../wasm/wasmData.ts';
import { Engines, findEngine } from './engine.ts';
import type { EngineHead } from './host/engineImage.ts';
import type { FunctionHead } from './host/program.ts';

export type QuickJsDriverOptions = ProgramDriverOptions;

/**
 * Runs deterministic functions on QuickJS in WebAssembly, one process for each tenant, each call in an instance of its own:
 * the same request gives the same answer, outcome and fuel on every machine.
 */
export class QuickJsDriver extends ProgramDriver {
  readonly kind = 'function';
  readonly runtimes = ['quickjs'];
  protected readonly program = 'quickjs/host/program';
  #engines: Engines | undefined;

  constructor(options: QuickJsDriverOptions = {}) {
    super(options);
  }

  protected override async prepare(runDirectory: RunDirectory, signal: AbortSignal): Promise<StartedProgram> {
    this.#engines = new Engines(await findEngine());
    return super.prepare(runDirectory, signal);
  }

  protected admit({ deterministic, limits: { fuel }, outboundHosts: [host], services, scheduled }: Workload): void {
    if (!deterministic || fuel === undefined)
      throw invalid('deterministic', 'This runtime runs deterministic functions alone, with "limits.fuel"');
    if (host !== undefined)
      throw invalid('outboundHosts', `A deterministic function reaches no host, so it can't have "${host}"`);
    if (scheduled) throw invalid('scheduled', 'A deterministic function runs by no schedule');
    if (services?.length) throw invalid('services', 'A deterministic function has no services');
  }

  protected readonly loadMessage = async ({ env, limits, code }: Workload): Promise<Uint8Array> => {
    const { memoryBytes, fuel = 0 } = limits;
    return this.#message({ env, fuel, memoryBytes }, code);
  };

  /** A function that does nothing: after it the engine's code is compiled. */
  protected override readonly warmMessage = (memoryBytes: number): Promise<Uint8Array> =>
    this.#message({ env: {}, fuel: warmFuel, memoryBytes }, warmSource);

  async #message(given: Omit<FunctionHead, keyof EngineHead>, code: Uint8Array): Promise<Uint8Array> {
    const image = await this.#engines?.of(given.memoryBytes);
    if (image === undefined)
      throw new SandboxError({ code: 'NOT_STARTED', message: 'The sandbox has not been started' });
    const head: FunctionHead = { ...image.head, ...given };
    return message(head, Buffer.concat([image.bytes, code]));
  }
}

const warmFuel = 1_000_000_000;
const warmSource = new TextEncoder().encode(
  'export default { async fetch(request) { return Response.json({ text: await request.text(), url: new URL(request.url) }); } };',
);

function invalid(field: string, text: string): SandboxError {
  return new SandboxError({ code: 'INVALID_WORKLOAD', message: text, meta: { field }, hint: 'See docs/functions.md' });
}
