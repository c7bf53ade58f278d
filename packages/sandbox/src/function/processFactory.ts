import type { GateOptions } from '../gate/egressGate.ts';
import { baseDataOf } from '../process/baseData.ts';
import type { Surroundings } from '../process/confinedProcess.ts';
import type { RunDirectory } from '../tenant/runDirectory.ts';
import { compileConfig } from './workerdConfig.ts';
import { WorkerdProcess } from './workerdProcess.ts';

const MiB = 1024 * 1024;
/** What a process may hold beyond the workload's own memory: the runtime, its loader, and the pages of its program. */
export const runtimeOverheadBytes = 64 * MiB;
/** Processes and threads in a jail. The runtime has a thread for each processor, up to 16, and one of its own. */
const maxPids = 32;
const maxOpenFiles = 512;

export type ProcessFactoryOptions = {
  readonly workerd: string;
  readonly surroundings: Surroundings;
  readonly runDirectory: RunDirectory;
  readonly gate: GateOptions;
  /** Processors' worth of time that one process may use. */
  readonly cpus: number;
};

/**
 * The heap limit for a workload's memory limit, in MiB: the next power of two or one and a half times that. Workloads of
 * one class fit the same waiting processes; what each may hold is kept exactly by the limits around the process.
 */
export function heapClassOf(memoryBytes: number): number {
  const mebibytes = Math.ceil(memoryBytes / MiB);
  const power = 2 ** Math.floor(Math.log2(mebibytes));
  return [power, power * 1.5, power * 2].find((size) => size >= mebibytes) ?? mebibytes;
}

/** Starts processes without a tenant. */
export class ProcessFactory {
  readonly #options: ProcessFactoryOptions;
  readonly #configs = new Map<number, Promise<string>>();
  #baseDataBytes: number | undefined;

  constructor(options: ProcessFactoryOptions) {
    this.#options = options;
  }

  /** Whether processes started from now on are under a limit on their address space. */
  get limitsData(): boolean {
    return this.#baseDataBytes !== undefined;
  }

  /**
   * Puts every process under a limit on its private address space, for where no control group limits memory. Address space
   * that the runtime reserves without using it counts, so the limit begins above what one of them reserves.
   */
  async limitData(memoryBytes: number, signal: AbortSignal): Promise<void> {
    const { confined } = await this.startWarm(memoryBytes, signal);
    this.#baseDataBytes = await baseDataOf(confined);
  }

  /** A process for workloads of up to this much memory. */
  async start(memoryBytes: number, signal: AbortSignal): Promise<WorkerdProcess> {
    const { surroundings, runDirectory, gate, cpus } = this.#options;
    const totalBytes = memoryBytes + runtimeOverheadBytes;
    const base = this.#baseDataBytes;
    return WorkerdProcess.start(
      surroundings,
      {
        directory: runDirectory.path,
        socketBase: runDirectory.socketBase,
        config: await this.#config(heapClassOf(memoryBytes)),
        gate,
        limits: {
          memoryBytes: totalBytes,
          pids: maxPids,
          cpus,
          openFiles: maxOpenFiles,
          ...(base === undefined ? {} : { dataBytes: base + totalBytes }),
        },
      },
      signal,
    );
  }

  /** One that has also run something, so that its first tenant doesn't wait for that. */
  async startWarm(memoryBytes: number, signal: AbortSignal): Promise<WorkerdProcess> {
    const process = await this.start(memoryBytes, signal);
    try {
      await process.warm(signal);
      return process;
    } catch (error) {
      process.confined.kill();
      throw error;
    }
  }

  #config(heapMebibytes: number): Promise<string> {
    const known = this.#configs.get(heapMebibytes);
    if (known !== undefined) return known;
    const { workerd, runDirectory } = this.#options;
    // Not under the signal of whoever needs it first: others may wait for it too.
    const config = compileConfig(workerd, runDirectory.path, heapMebibytes, new AbortController().signal);
    this.#configs.set(heapMebibytes, config);
    config.catch(() => this.#configs.delete(heapMebibytes));
    return config;
  }
}
