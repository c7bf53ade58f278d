import type { MemoryBudget } from '../admission/memoryBudget.ts';
import type { RuntimeProcess } from '../process/runtimeProcess.ts';
import type { SandboxDriver, Tenant, WallReport, Workload } from '../sandbox.ts';
import { abortedError, SandboxError, throwIfAborted } from '../sandboxError.ts';
import type { Walled, WallOptions } from '../walls/raiseWalls.ts';
import { checkWorkload } from '../workload.ts';
import { ProcessTenant } from './processTenant.ts';
import type { RestartPolicy } from './restartLimit.ts';
import { type RunDirectory, type RunDirectoryInit, takeRunDirectory } from './runDirectory.ts';

export type ProcessDriverOptions = WallOptions & {
  /** A directory for sockets, of this driver only, emptied at the start. Default: one among the temporary files. */
  readonly runDir?: string;
  /** Processors' worth of time that one tenant may use. Default 1. */
  readonly cpus?: number;
  /** How often a tenant's process may be started. */
  readonly restarts?: RestartPolicy;
  /** What all tenants may be held to together, those of other drivers that are given it too. Default: nobody counts. */
  readonly memory?: MemoryBudget;
};

/** What every kind has once it is started; kinds add their own. */
export type Started = Pick<Walled, 'cgroups' | 'lower'> & {
  readonly walls: WallReport;
  /** Processes that wait for a tenant. */
  readonly pool?: { readonly readyCount: number; stop(): Promise<void> };
};

/** The life of a driver whose tenants have a process each: a kind says how it starts, and where a tenant's process comes from. */
export abstract class ProcessDriver<Kind extends Started> implements SandboxDriver {
  abstract readonly kind: Workload['kind'];
  abstract readonly runtimes: readonly string[];
  /** What a process may hold beyond the workload's own memory. */
  protected abstract readonly overheadBytes: number;
  /** For kinds whose processes may outlive a driver that is lost. */
  protected readonly runDirectoryInit: RunDirectoryInit = {};
  readonly #options: ProcessDriverOptions;
  readonly #restarts: RestartPolicy;
  readonly #tenants = new Set<ProcessTenant>();
  #runDirectory: RunDirectory | undefined;
  /** Gives back what is promised to processes that wait. */
  #released: (() => void) | undefined;
  #started: Kind | undefined;
  #stopped = false;

  protected constructor(options: ProcessDriverOptions, restarts: RestartPolicy = { burst: 10, perSecond: 1 }) {
    this.#options = options;
    this.#restarts = options.restarts ?? restarts;
  }

  /** How many processes wait for tenants. */
  protected get pooled(): number {
    return 0;
  }

  /** Throws what keeps the kind from running here. Nothing of it is left then. */
  protected abstract prepare(runDirectory: RunDirectory, signal: AbortSignal): Promise<Kind>;

  /** Throws INVALID_WORKLOAD for what this kind can't run, beyond what no kind can. */
  protected abstract admit(workload: Workload, started: Kind): void;

  /** A process that has no tenant yet. */
  protected abstract takeProcess(workload: Workload, started: Kind, signal: AbortSignal): Promise<RuntimeProcess>;

  /** The same of one workload, where it depends on that. */
  protected overheadOf(_: Workload): number {
    return this.overheadBytes;
  }

  /** @inheritdoc */
  get walls(): WallReport {
    return this.started.walls;
  }

  /** Processes that wait for a tenant. */
  get readyCount(): number {
    return this.started.pool?.readyCount ?? 0;
  }

  /** Throws NOT_STARTED, STOPPED. */
  protected get started(): Kind {
    if (this.#stopped) throw stoppedError();
    if (this.#started !== undefined) return this.#started;
    throw new SandboxError({
      code: 'NOT_STARTED',
      message: 'The sandbox has not been started',
      hint: 'Call "start" first, and wait for it',
    });
  }

  /** @inheritdoc */
  async start({ signal }: { signal: AbortSignal }): Promise<void> {
    throwIfAborted(signal);
    if (this.#started !== undefined) return;
    // Waiting processes may take no more than the runtime itself needs: they have no tenant.
    const release = this.#options.memory?.reserve(this.pooled * this.overheadBytes);
    const runDirectory = await takeRunDirectory(this.#options.runDir, this.runDirectoryInit).catch((error: unknown) => {
      release?.();
      throw error;
    });
    try {
      this.#started = await this.prepare(runDirectory, signal);
      this.#runDirectory = runDirectory;
      this.#released = release;
    } catch (error) {
      release?.();
      await runDirectory.release();
      if (signal.aborted) throw abortedError(signal);
      throw error;
    }
  }

  /** @inheritdoc */
  async open(workload: Workload, { signal }: { signal: AbortSignal }): Promise<Tenant> {
    throwIfAborted(signal);
    const { started } = this;
    const source = checkWorkload(workload, this.kind);
    this.admit(workload, started);
    const heldBytes = workload.limits.memoryBytes + this.overheadOf(workload);
    const gone = this.#options.memory?.reserve(heldBytes);
    const isWatched = started.cgroups?.controllers.memory !== true;
    const tenant = new ProcessTenant({
      workload,
      source,
      restarts: this.#restarts,
      watchedMemoryBytes: isWatched ? heldBytes : undefined,
      takeProcess: (given) => this.takeProcess(workload, this.started, given),
      closed: () => this.#tenants.delete(tenant),
      gone: () => gone?.(),
    });
    this.#tenants.add(tenant);
    try {
      await tenant.ready(signal);
      return tenant;
    } catch (error) {
      await tenant.close();
      throw error;
    }
  }

  /** @inheritdoc */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    await Promise.all([...this.#tenants].map((tenant) => tenant.closeWith(stoppedError())));
    await this.#started?.pool?.stop();
    await this.#started?.lower();
    await this.#runDirectory?.release();
    this.#released?.();
  }
}

function stoppedError(): SandboxError {
  return new SandboxError({ code: 'STOPPED', message: 'The sandbox was stopped' });
}
