import type { CgroupParent } from '../cgroup/cgroup.ts';
import { findCgroups } from '../cgroup/findCgroups.ts';
import type { GateOptions } from '../gate/egressGate.ts';
import { dataBytes } from '../process/procFs.ts';
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
import { ProcessPool } from './processPool.ts';
import type { RestartPolicy } from './restartLimit.ts';
import { type RunDirectory, takeRunDirectory } from './runDirectory.ts';
import { compileConfig } from './workerdConfig.ts';
import { findWorkerd } from './workerdPath.ts';
import { WorkerdProcess } from './workerdProcess.ts';

export type FunctionDriverOptions = {
  /** A directory for sockets, of this driver only, emptied at the start. Default: one among the temporary files. */
  readonly runDir?: string;
  /** How many processes wait for tenants. */
  readonly pooled?: number;
  /** The memory limit of the workloads that the waiting processes fit; others get a process started for them. */
  readonly pooledMemoryBytes?: number;
  /** Processors' worth of time that one tenant may use. */
  readonly cpus?: number;
  readonly restarts?: RestartPolicy;
  readonly gate?: GateOptions;
  /** Which jail to use. Default: the strongest that works. */
  readonly jail?: JailChoice;
  /** Whether to look for control groups. Default true. */
  readonly cgroups?: boolean;
};

const MiB = 1024 * 1024;
/** What a process may hold beyond the workload's own memory: the runtime, its loader, and the pages of its program. */
export const runtimeOverheadBytes = 64 * MiB;
/** Processes and threads in a jail. The runtime has two threads, more while it compiles. */
const maxPids = 32;
const maxOpenFiles = 512;

type Started = {
  readonly runDirectory: RunDirectory;
  readonly seats: SeatPool;
  readonly cgroups: CgroupParent | undefined;
  readonly walls: WallReport;
  readonly pool: ProcessPool;
  readonly start: (memoryBytes: number, signal: AbortSignal) => Promise<WorkerdProcess>;
};

/**
 * Runs functions on workerd, one process for each tenant. Without a process that waits, a tenant's first call takes one
 * process start; with one, a tenth of that.
 */
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
    const { start, pool, walls } = this.#running();
    const source = checkWorkload(workload);
    const { memoryBytes } = workload.limits;
    const pooled = memoryBytes === this.#pooledMemoryBytes();
    const tenant = new FunctionTenant({
      workload,
      source,
      restarts: this.#options.restarts ?? { burst: 10, perSecond: 1 },
      watchedMemoryBytes: walls.memory.by.startsWith('cgroup') ? undefined : memoryBytes + runtimeOverheadBytes,
      takeProcess: async (given) => (pooled ? pool.take() : undefined) ?? start(memoryBytes, given),
      closed: () => this.#tenants.delete(tenant),
    });
    this.#tenants.add(tenant);
    try {
      await tenant.ready(signal);
    } catch (error) {
      await tenant.close();
      throw error;
    }
    return tenant;
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

  async #prepare(runDirectory: RunDirectory, signal: AbortSignal): Promise<Started> {
    const workerd = findWorkerd();
    const tools = findTools();
    const launcher = await createLauncher(tools, signal);
    const plan = { executable: workerd, fileNames: ['config', 'gate'], scratchDir: runDirectory.path };
    const probe = { args: ['--version'], expected: /^workerd \d/m };
    const jail = await chooseJail(this.#options.jail ?? 'auto', plan, probe, tools, launcher, signal);
    const cgroups = this.#options.cgroups === false ? undefined : findCgroups();
    const surroundings = { jail, tools, seats: new SeatPool(launcher, cgroups), identities: new IdentityPool() };
    const configs = new Map<number, Promise<string>>();

    const start = async (memoryBytes: number, given: AbortSignal, baseDataBytes = 0): Promise<WorkerdProcess> => {
      const heapMebibytes = Math.ceil(memoryBytes / MiB);
      let config = configs.get(heapMebibytes);
      if (config === undefined) {
        config = compileConfig(workerd, runDirectory.path, heapMebibytes, new AbortController().signal);
        configs.set(heapMebibytes, config);
        config.catch(() => configs.delete(heapMebibytes));
      }
      const totalBytes = memoryBytes + runtimeOverheadBytes;
      return WorkerdProcess.start(
        surroundings,
        {
          directory: runDirectory.path,
          socketBase: runDirectory.socketBase,
          config: await config,
          gate: this.#options.gate ?? {},
          limits: {
            memoryBytes: totalBytes,
            pids: maxPids,
            cpus: this.#options.cpus ?? 1,
            openFiles: maxOpenFiles,
            ...(baseDataBytes === 0 ? {} : { dataBytes: baseDataBytes + totalBytes }),
          },
        },
        given,
      );
    };

    // Address space that the runtime reserves without using it counts towards the limit, so the limit begins above that.
    const pooledMemoryBytes = this.#pooledMemoryBytes();
    const needsDataLimit = cgroups?.controllers.memory !== true && tools.prlimit !== undefined && jail.name !== 'none';
    const baseDataBytes = needsDataLimit ? await measureBase(await start(pooledMemoryBytes, signal), signal) : 0;
    const limitedStart = (memoryBytes: number, given: AbortSignal): Promise<WorkerdProcess> =>
      start(memoryBytes, given, baseDataBytes);
    const pool = new ProcessPool({
      size: this.#options.pooled ?? 2,
      start: async (given) => {
        const process = await limitedStart(pooledMemoryBytes, given);
        try {
          await process.warm(given);
        } catch (error) {
          process.confined.kill();
          throw error;
        }
        return process;
      },
    });
    return {
      runDirectory,
      seats: surroundings.seats,
      cgroups,
      walls: wallReport(jail, cgroups?.controllers, {
        dataLimit: baseDataBytes > 0,
        prlimit: tools.prlimit !== undefined,
      }),
      pool,
      start: limitedStart,
    };
  }

  #pooledMemoryBytes(): number {
    return this.#options.pooledMemoryBytes ?? 128 * MiB;
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

async function measureBase(process: WorkerdProcess, signal: AbortSignal): Promise<number> {
  try {
    await process.warm(signal);
    const pid = process.confined.programPid;
    return pid === undefined ? 0 : dataBytes(pid);
  } finally {
    process.confined.kill();
    await process.confined.removed;
  }
}

/** A driver for workloads of kind 'function'. It does nothing before its `start`. */
export function createFunctionDriver(options: FunctionDriverOptions = {}): FunctionDriver {
  return new FunctionDriver(options);
}
