import type { Workload } from '../sandbox.ts';
import { ProcessDriver, type ProcessDriverOptions, type Started } from '../tenant/processDriver.ts';
import { ProcessPool } from '../tenant/processPool.ts';
import type { RunDirectory } from '../tenant/runDirectory.ts';
import { raiseWalls } from '../walls/raiseWalls.ts';
import { type LoadMessage, programName, type WasmProcess } from './wasmProcess.ts';
import { WasmProcessFactory, wasmOverheadBytes } from './wasmProcessFactory.ts';
import { writeProgram } from './wasmProgram.ts';

/** Restarts by default: 10 at once, then one a second. */
export type ProgramDriverOptions = ProcessDriverOptions & {
  /** How many processes wait for tenants. Default 1. */
  readonly pooled?: number;
  /** The most memory of the workloads that the waiting processes are for; others get a process started for them. Default 128 MiB. */
  readonly pooledMemoryBytes?: number;
};

const defaultPooledMemoryBytes = 128 * 1024 * 1024;

export type StartedProgram = Started & {
  readonly pool: ProcessPool<WasmProcess>;
  readonly factory: WasmProcessFactory;
};

/** Runs calls in a program of ours on Node.js, one process for each tenant: a kind says which program, and what it is told. */
export abstract class ProgramDriver extends ProcessDriver<StartedProgram> {
  protected readonly overheadBytes = wasmOverheadBytes;
  /** The program's first module. */
  protected abstract readonly program: string;
  protected abstract readonly loadMessage: LoadMessage;
  /** What a process runs once before it gets a tenant, where it is to run anything. */
  protected readonly warmMessage: ((memoryBytes: number) => Promise<Uint8Array>) | undefined = undefined;
  readonly #options: ProgramDriverOptions;
  /** The memory of the workloads that waiting processes are for. */
  protected readonly pooledBytes: number;

  protected constructor(options: ProgramDriverOptions) {
    super(options);
    this.#options = options;
    this.pooledBytes = options.pooledMemoryBytes ?? defaultPooledMemoryBytes;
  }

  protected override get pooled(): number {
    return this.#options.pooled ?? 1;
  }

  protected async prepare(runDirectory: RunDirectory, signal: AbortSignal): Promise<StartedProgram> {
    const program = await writeProgram(runDirectory.path, this.program, signal);
    const plan = { executable: process.execPath, fileNames: [programName], scratchDir: runDirectory.path };
    const probe = { args: ['--version'], expected: /^v\d/m };
    return raiseWalls(this.#options, plan, probe, signal, async (walled) => {
      const { surroundings, cgroups, lower } = walled;
      const { cpus = 1 } = this.#options;
      const size = this.pooled;
      const { loadMessage, warmMessage } = this;
      const given = { surroundings, runDirectory, program, cpus, loadMessage, warmMessage };
      const factory = new WasmProcessFactory(given);
      if (walled.needsDataLimit) await factory.limitData(signal);
      const pool = new ProcessPool({ size, start: (given) => factory.startWarm(this.pooledBytes, given) });
      void pool.fill();
      return { cgroups, lower, walls: walled.report(factory.limitsData), pool, factory };
    });
  }

  protected async takeProcess(
    { limits: { memoryBytes } }: Workload,
    { pool, factory }: StartedProgram,
    signal: AbortSignal,
  ): Promise<WasmProcess> {
    const fits = memoryBytes <= this.pooledBytes;
    const waiting = fits
      ? pool.takeHeldTo(memoryBytes + wasmOverheadBytes, this.pooledBytes + wasmOverheadBytes)
      : undefined;
    return waiting ?? factory.startWarm(memoryBytes, signal);
  }
}
