import type { CgroupParent } from '../cgroup/cgroup.ts';
import { findCgroups } from '../cgroup/findCgroups.ts';
import type { GateOptions } from '../gate/egressGate.ts';
import { SeatPool } from '../process/seatPool.ts';
import type { SandboxDriver, Tenant, WallReport, Workload } from '../sandbox.ts';
import { abortedError, SandboxError, throwIfAborted } from '../sandboxError.ts';
import { chooseJail, type JailChoice } from '../walls/chooseJail.ts';
import { IdentityPool } from '../walls/identity.ts';
import { createLauncher } from '../walls/launcher.ts';
import { findTools } from '../walls/tools.ts';
import { wallReport } from '../walls/wallReport.ts';
import { checkWorkload } from '../workload.ts';
import { FunctionTenant } from './functionTenant.ts';
import { heapClassOf, ProcessFactory, runtimeOverheadBytes } from './processFactory.ts';
import { ProcessPool } from './processPool.ts';
import type { RestartPolicy } from './restartLimit.ts';
import { type RunDirectory, takeRunDirectory } from './runDirectory.ts';
import { findWorkerd } from './workerdPath.ts';
import type { WorkerdProcess } from './workerdProcess.ts';

export type FunctionDriverOptions = {
  /** A directory for sockets, of this driver only, emptied at the start. Default: one among the temporary files. */
  readonly runDir?: string;
  /** How many processes wait for tenants. Default 2. */
  readonly pooled?: number;
  /**
   * The memory limit of the workloads that the waiting processes are for. Others of the same class fit too (up to a third
   * less); the rest get a process started for them. Default 128 MiB.
   */
  readonly pooledMemoryBytes?: number;
  /** Processors' worth of time that one tenant may use. Default 1: a tenant's code runs on one thread. */
  readonly cpus?: number;
  /** How often a tenant's process may be started. Default: 10 at once, then one a second. */
  readonly restarts?: RestartPolicy;
  readonly gate?: GateOptions;
  /** Which jail to use. Default: the strongest that works. */
  readonly jail?: JailChoice;
  /** Whether to look for control groups. Default true. */
  readonly cgroups?: boolean;
};

const defaultPooledMemoryBytes = 128 * 1024 * 1024;

/** A driver for workloads of kind 'function'. It does nothing before its `start`. */
export function createFunctionDriver(options: FunctionDriverOptions = {}): FunctionDriver {
  return new FunctionDriver(options);
}

type Started = {
  readonly runDirectory: RunDirectory;
  readonly seats: SeatPool;
  readonly cgroups: CgroupParent | undefined;
  readonly walls: WallReport;
  readonly pool: ProcessPool;
  readonly factory: ProcessFactory;
};

/** Runs functions on workerd, one process for each tenant. */
export class FunctionDriver implements SandboxDriver {
  readonly kind = 'function';
  readonly #options: FunctionDriverOptions;
  readonly #tenants = new Set<FunctionTenant>();
  #started: Started | undefined;
  #stopped = false;

  constructor(options: FunctionDriverOptions = {}) {
    this.#options = options;
  }

  /** @inheritdoc */
  get walls(): WallReport {
    return this.#running().walls;
  }

  /** Processes that wait for a tenant. */
  get readyCount(): number {
    return this.#running().pool.readyCount;
  }

  /** @inheritdoc */
  async start({ signal }: { signal: AbortSignal }): Promise<void> {
    throwIfAborted(signal);
    if (this.#started !== undefined) return;
    const runDirectory = await takeRunDirectory(this.#options.runDir);
    try {
      this.#started = await this.#prepare(runDirectory, signal);
    } catch (error) {
      await runDirectory.release();
      if (signal.aborted) throw abortedError(signal);
      throw error;
    }
    void this.#started.pool.fill();
  }

  /** @inheritdoc */
  async open(workload: Workload, { signal }: { signal: AbortSignal }): Promise<Tenant> {
    throwIfAborted(signal);
    const { cgroups } = this.#running();
    const source = checkWorkload(workload);
    const totalBytes = workload.limits.memoryBytes + runtimeOverheadBytes;
    const tenant = new FunctionTenant({
      workload,
      source,
      restarts: this.#options.restarts ?? { burst: 10, perSecond: 1 },
      watchedMemoryBytes: cgroups?.controllers.memory === true ? undefined : totalBytes,
      takeProcess: (given) => this.#takeProcess(workload.limits.memoryBytes, given),
      closed: () => this.#tenants.delete(tenant),
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
    const error = new SandboxError({ code: 'STOPPED', message: 'The sandbox was stopped' });
    await Promise.all([...this.#tenants].map((tenant) => tenant.closeWith(error)));
    await this.#started?.pool.stop();
    await this.#started?.seats.stop();
    await this.#started?.cgroups?.remove();
    await this.#started?.runDirectory.release();
  }

  async #takeProcess(memoryBytes: number, signal: AbortSignal): Promise<WorkerdProcess> {
    const { pool, factory } = this.#running();
    const pooledBytes = this.#pooledMemoryBytes();
    const fits = memoryBytes <= pooledBytes && heapClassOf(memoryBytes) === heapClassOf(pooledBytes);
    const waiting = fits ? pool.take() : undefined;
    if (waiting === undefined) return factory.start(memoryBytes, signal);
    try {
      if (memoryBytes < pooledBytes) waiting.confined.limitMemory(memoryBytes + runtimeOverheadBytes);
      return waiting;
    } catch (error) {
      waiting.confined.kill();
      throw error;
    }
  }

  async #prepare(runDirectory: RunDirectory, signal: AbortSignal): Promise<Started> {
    const workerd = findWorkerd();
    const tools = findTools();
    const launcher = await createLauncher(tools, signal);
    const plan = { executable: workerd, fileNames: ['config', 'gate'], scratchDir: runDirectory.path };
    const probe = { args: ['--version'], expected: /^workerd \d/m };
    const jail = await chooseJail(this.#options.jail ?? 'auto', plan, probe, tools, launcher, signal);
    const cgroups = this.#options.cgroups === false ? undefined : findCgroups();
    const seats = new SeatPool(launcher, cgroups);
    const { gate = {}, cpus = 1, pooled: size = 2 } = this.#options;
    const surroundings = { jail, tools, seats, identities: new IdentityPool() };
    const factory = new ProcessFactory({ workerd, surroundings, runDirectory, gate, cpus });
    const pooledBytes = this.#pooledMemoryBytes();
    try {
      if (cgroups?.controllers.memory !== true && tools.prlimit !== undefined && jail.name !== 'none')
        await factory.limitData(pooledBytes, signal);
    } catch (error) {
      await seats.stop();
      await cgroups?.remove();
      throw error;
    }
    const limits = { dataLimit: factory.limitsData, prlimit: tools.prlimit !== undefined };
    const walls = wallReport(jail, cgroups?.controllers, limits);
    const pool = new ProcessPool({ size, start: (given) => factory.startWarm(pooledBytes, given) });
    return { runDirectory, seats, cgroups, walls, pool, factory };
  }

  #pooledMemoryBytes(): number {
    return this.#options.pooledMemoryBytes ?? defaultPooledMemoryBytes;
  }

  #running(): Started {
    if (this.#stopped) throw new SandboxError({ code: 'STOPPED', message: 'The sandbox was stopped' });
    if (this.#started !== undefined) return this.#started;
    throw new SandboxError({
      code: 'NOT_STARTED',
      message: 'The sandbox has not been started',
      hint: 'Call "start" first, and wait for it',
    });
  }
}
