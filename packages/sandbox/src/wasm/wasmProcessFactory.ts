import { baseDataOf } from '../process/baseData.ts';
import type { Surroundings } from '../process/confinedProcess.ts';
import type { RunDirectory } from '../tenant/runDirectory.ts';
import { maxThreads } from './host/runThread.ts';
import { type LoadMessage, WasmProcess } from './wasmProcess.ts';

const MiB = 1024 * 1024;
/** What a process may hold beyond the module's own memory: Node.js, its threads and compiled code. */
export const wasmOverheadBytes = 160 * MiB;
/** Address space that a thread takes beside what its module does. */
const threadDataBytes = 48 * MiB;
/** Node.js has some threads of its own, for compiling and for files, beside those that run calls. */
const maxPids = 64;
const maxOpenFiles = 512;
/** What JavaScript needs here by itself. */
const ownHeapMebibytes = 64;

export type WasmProcessFactoryOptions = {
  readonly surroundings: Surroundings;
  readonly runDirectory: RunDirectory;
  readonly program: string;
  readonly loadMessage: LoadMessage;
  /** What a process for so much memory runs once before it gets a tenant. */
  readonly warmMessage?: ((memoryBytes: number) => Promise<Uint8Array>) | undefined;
  /** Processors' worth of time that one process may use. */
  readonly cpus: number;
};

/** Starts processes without a tenant. */
export class WasmProcessFactory {
  readonly #options: WasmProcessFactoryOptions;
  #baseDataBytes: number | undefined;

  constructor(options: WasmProcessFactoryOptions) {
    this.#options = options;
  }

  /** Whether processes started from now on are under a limit on their address space. */
  get limitsData(): boolean {
    return this.#baseDataBytes !== undefined;
  }

  /** Puts every process under a limit on its private address space, which begins above what Node.js reserves without using it. */
  async limitData(signal: AbortSignal): Promise<void> {
    const { confined } = await this.startWarm(32 * MiB, signal);
    this.#baseDataBytes = await baseDataOf(confined);
  }

  /** A process for a module with this much memory, with a thread that is ready. */
  async startWarm(memoryBytes: number, signal: AbortSignal): Promise<WasmProcess> {
    const { surroundings, runDirectory, program, loadMessage, cpus } = this.#options;
    const totalBytes = memoryBytes + wasmOverheadBytes;
    const base = this.#baseDataBytes;
    const process = await WasmProcess.start(
      surroundings,
      {
        directory: runDirectory.path,
        socketBase: runDirectory.socketBase,
        program,
        loadMessage,
        // The engine takes a module's memory for part of its heap: beyond half of the most that this may hold, it looks for
        // garbage each time a module takes a page, which makes that some hundred times slower.
        heapMebibytes: ownHeapMebibytes + 2 * Math.ceil(memoryBytes / MiB),
        limits: {
          memoryBytes: totalBytes,
          pids: maxPids,
          cpus,
          openFiles: maxOpenFiles,
          ...(base === undefined ? {} : { dataBytes: base + totalBytes + threadDataBytes * maxThreads }),
        },
      },
      signal,
    );
    try {
      await process.warm(await this.#options.warmMessage?.(memoryBytes), signal);
      return process;
    } catch (error) {
      process.confined.kill();
      throw error;
    }
  }
}
