import type { GateOptions } from '../gate/egressGate.ts';
import type { Workload } from '../sandbox.ts';
import { SandboxError } from '../sandboxError.ts';
import { ProcessDriver, type ProcessDriverOptions, type Started } from '../tenant/processDriver.ts';
import { ProcessPool } from '../tenant/processPool.ts';
import type { RunDirectory } from '../tenant/runDirectory.ts';
import { raiseWalls } from '../walls/raiseWalls.ts';
import { heapClassOf, ProcessFactory, runtimeOverheadBytes } from './processFactory.ts';
import { findWorkerd } from './workerdPath.ts';
import type { WorkerdProcess } from './workerdProcess.ts';

/** A tenant's code runs on one thread. Restarts by default: 10 at once, then one a second. */
export type FunctionDriverOptions = ProcessDriverOptions & {
  /** How many processes wait for tenants. Default 2. */
  readonly pooled?: number;
  /**
   * The memory limit of the workloads that the waiting processes are for. Others of the same class fit too (up to a third
   * less); the rest get a process started for them. Default 128 MiB.
   */
  readonly pooledMemoryBytes?: number;
  readonly gate?: GateOptions;
};

const defaultPooledMemoryBytes = 128 * 1024 * 1024;

/** A driver for workloads of kind 'function'. It does nothing before its `start`. */
export function createFunctionDriver(options: FunctionDriverOptions = {}): FunctionDriver {
  return new FunctionDriver(options);
}

type StartedFunctions = Started & { readonly pool: ProcessPool<WorkerdProcess>; readonly factory: ProcessFactory };

/** Runs functions on workerd, one process for each tenant. */
export class FunctionDriver extends ProcessDriver<StartedFunctions> {
  readonly kind = 'function';
  readonly runtimes = ['workerd'];
  protected readonly overheadBytes = runtimeOverheadBytes;
  readonly #options: FunctionDriverOptions;
  readonly #pooledBytes: number;

  constructor(options: FunctionDriverOptions = {}) {
    super(options);
    this.#options = options;
    this.#pooledBytes = options.pooledMemoryBytes ?? defaultPooledMemoryBytes;
  }

  protected override get pooled(): number {
    return this.#options.pooled ?? 2;
  }

  protected prepare(runDirectory: RunDirectory, signal: AbortSignal): Promise<StartedFunctions> {
    const workerd = findWorkerd();
    const plan = { executable: workerd, fileNames: ['config', 'gate', 'door'], scratchDir: runDirectory.path };
    const probe = { args: ['--version'], expected: /^workerd \d/m };
    return raiseWalls(this.#options, plan, probe, signal, async (walled) => {
      const { surroundings, cgroups, lower } = walled;
      const { gate = {}, cpus = 1 } = this.#options;
      const size = this.pooled;
      const factory = new ProcessFactory({ workerd, surroundings, runDirectory, gate, cpus });
      if (walled.needsDataLimit) await factory.limitData(this.#pooledBytes, signal);
      const pool = new ProcessPool({ size, start: (given) => factory.startWarm(this.#pooledBytes, given) });
      void pool.fill();
      return { cgroups, lower, walls: walled.report(factory.limitsData), pool, factory };
    });
  }

  protected admit({ deterministic, limits: { fuel } }: Workload): void {
    if (!deterministic && fuel === undefined) return;
    throw new SandboxError({
      code: 'INVALID_WORKLOAD',
      message: 'This runtime counts no fuel, and no two of its runs need be the same',
      meta: { field: 'deterministic' },
      hint: 'The runtime "quickjs" runs deterministic functions',
    });
  }

  protected async takeProcess(
    { limits: { memoryBytes } }: Workload,
    { pool, factory }: StartedFunctions,
    signal: AbortSignal,
  ): Promise<WorkerdProcess> {
    const fits = memoryBytes <= this.#pooledBytes && heapClassOf(memoryBytes) === heapClassOf(this.#pooledBytes);
    const waiting = fits
      ? pool.takeHeldTo(memoryBytes + runtimeOverheadBytes, this.#pooledBytes + runtimeOverheadBytes)
      : undefined;
    return waiting ?? factory.start(memoryBytes, signal);
  }
}
