import { fileURLToPath } from 'node:url';
import { baseDataOf } from '../process/baseData.ts';
import type { Surroundings } from '../process/confinedProcess.ts';
import type { ModelEngineName, Workload } from '../sandbox.ts';
import { SandboxError } from '../sandboxError.ts';
import { ProcessDriver, type ProcessDriverOptions, type Started } from '../tenant/processDriver.ts';
import type { RunDirectory } from '../tenant/runDirectory.ts';
import { raiseWalls } from '../walls/raiseWalls.ts';
import { missingLibraries } from '../walls/sharedLibraries.ts';
import { findTools } from '../walls/tools.ts';
import { findGpu, type Gpu, type GpuPlaces, missingForGpu } from './gpu.ts';
import { defaultEnginesDir, type InstalledEngine, installedEngines } from './installedEngines.ts';
import { ModelProcess } from './modelProcess.ts';

/** A tenant computes with as many threads as it has processors. Restarts by default: 10 at once, then one in ten seconds. */
export type ModelDriverOptions = ProcessDriverOptions & {
  /** The folder in which the engines were installed. Default: the repository's. */
  readonly enginesDir?: string;
  /**
   * Layers of GGUF models on the machine's GPUs: never, where all that it takes is here, or no models without. What a GPU holds is
   * outside of every limit on memory, and one GPU is shared by the apps that use it. Default `off`.
   */
  readonly gpu?: 'off' | 'auto' | 'required';
  /** Where GPUs are looked for. Default: where they are. */
  readonly gpuPlaces?: Omit<GpuPlaces, 'enginesDir'>;
  /** What opens a model in place of the engines here: a folder, and the module in it. */
  readonly unsafeEngine?: { readonly directory: string; readonly module: string };
};

const MiB = 1024 * 1024;
/** What a process may hold beyond the workload's own memory: Node.js, the engine, and the pages of their programs. */
export const modelOverheadBytes = 192 * MiB;
/** Processes and threads in a jail: those of Node.js and of the engine. */
const maxPids = 64;
const maxOpenFiles = 512;

type StartedModels = Started & {
  readonly surroundings: Surroundings;
  readonly runDirectory: RunDirectory;
  readonly engines: readonly InstalledEngine[];
  /** Or why there is none. */
  readonly gpu: Gpu | string;
  /** Private address space that a process without a model has, where a limit on it stands for one on memory. */
  readonly baseDataBytes: number | undefined;
};

/** A driver for workloads of kind 'model'. It does nothing before its `start`. */
export function createModelDriver(options: ModelDriverOptions = {}): ModelDriver {
  return new ModelDriver(options);
}

/** Runs models on engines of Node.js, one process for each tenant, without any way out. */
export class ModelDriver extends ProcessDriver<StartedModels> {
  readonly kind = 'model';
  readonly runtimes = ['llama-cpp', 'onnxruntime', 'onnxruntime-web'];
  protected readonly overheadBytes = modelOverheadBytes;
  readonly #options: ModelDriverOptions;

  constructor(options: ModelDriverOptions = {}) {
    super(options, { burst: 10, perSecond: 0.1 });
    this.#options = options;
  }

  /** The engines that there are. */
  get engines(): readonly InstalledEngine[] {
    return this.started.engines;
  }

  /** Device files of GPUs that models have, or why they have none. */
  get gpu(): readonly string[] | string {
    const { gpu } = this.started;
    return typeof gpu === 'string' ? gpu : gpu.devices;
  }

  /** Throws START_FAILED where no engine is installed, or no GPU is here where one is required. */
  protected async prepare(runDirectory: RunDirectory, signal: AbortSignal): Promise<StartedModels> {
    const engines = this.#installed();
    const gpu = await this.#gpu(signal);
    const found = typeof gpu === 'string' ? undefined : gpu;
    const plan = {
      executable: process.execPath,
      fileNames: ['weights'],
      directories: {
        host: here('host'),
        engines: this.#options.unsafeEngine?.directory ?? here('engines'),
        ...(engines.length === 0
          ? {}
          : { node_modules: `${this.#options.enginesDir ?? defaultEnginesDir}/node_modules` }),
        ...(found && { gpu_modules: found.modules }),
      },
      modules: [...engines.flatMap(({ nativeModules }) => nativeModules), ...(found?.nativeModules ?? [])],
      ...(found && { devices: found.devices, libraries: found.libraries }),
      scratchDir: runDirectory.path,
    };
    const probe = { args: ['--version'], expected: /^v\d/m };
    return raiseWalls(this.#options, plan, probe, signal, async (walled) => {
      const { surroundings, cgroups, lower } = walled;
      const baseDataBytes = walled.needsDataLimit
        ? await this.#baseDataBytes({ surroundings, runDirectory, gpu }, signal)
        : undefined;
      const walls = walled.report(baseDataBytes !== undefined);
      return { surroundings, cgroups, lower, walls, runDirectory, engines, gpu, baseDataBytes };
    });
  }

  protected admit({ kind, model }: Workload, { engines }: StartedModels): void {
    if (model === undefined) throw notAModel(kind);
    const isThere = this.#options.unsafeEngine !== undefined || engines.some(({ name }) => name === model.engine);
    if (!isThere) throw noEngine(`The engine "${model.engine}" is not installed`);
  }

  protected async takeProcess(
    { kind, model, limits }: Workload,
    started: StartedModels,
    signal: AbortSignal,
  ): Promise<ModelProcess> {
    if (model === undefined) throw notAModel(kind);
    return this.#startProcess(started, model.weightsFile, limits.memoryBytes, signal);
  }

  #startProcess(
    {
      surroundings,
      runDirectory,
      gpu,
      baseDataBytes,
    }: Pick<StartedModels, 'surroundings' | 'runDirectory' | 'gpu' | 'baseDataBytes'>,
    weightsFile: string,
    memoryBytes: number,
    signal: AbortSignal,
  ): Promise<ModelProcess> {
    const { cpus = 1 } = this.#options;
    const totalBytes = memoryBytes + modelOverheadBytes;
    return ModelProcess.start(
      surroundings,
      {
        directory: runDirectory.path,
        socketBase: runDirectory.socketBase,
        weightsFile,
        heapMebibytes: Math.ceil(memoryBytes / MiB),
        modules: this.#modules(),
        threads: Math.max(1, Math.floor(cpus)),
        gpu: typeof gpu === 'string' ? undefined : this.#options.gpu,
        limits: {
          memoryBytes: totalBytes,
          pids: maxPids,
          cpus,
          openFiles: maxOpenFiles,
          ...(baseDataBytes === undefined ? {} : { dataBytes: baseDataBytes + totalBytes }),
        },
      },
      signal,
    );
  }

  async #baseDataBytes(
    started: Pick<StartedModels, 'surroundings' | 'runDirectory' | 'gpu'>,
    signal: AbortSignal,
  ): Promise<number | undefined> {
    const parts = { ...started, baseDataBytes: undefined };
    const { confined } = await this.#startProcess(parts, fileURLToPath(import.meta.url), 64 * MiB, signal);
    return baseDataOf(confined);
  }

  async #gpu(signal: AbortSignal): Promise<Gpu | string> {
    const { gpu = 'off', gpuPlaces, enginesDir = defaultEnginesDir } = this.#options;
    if (gpu === 'off') return 'it is turned off';
    const place = findGpu({ enginesDir, ...gpuPlaces });
    const { ldd } = findTools();
    const missing =
      typeof place === 'string' || ldd === undefined
        ? undefined
        : await missingForGpu(place, (file) => missingLibraries(ldd, file, signal));
    const found = missing ?? place;
    if (gpu === 'required' && typeof found === 'string') throw noGpu(found);
    return found;
  }

  #installed(): InstalledEngine[] {
    const directory = this.#options.enginesDir ?? defaultEnginesDir;
    const engines = installedEngines(directory);
    if (engines.length > 0 || this.#options.unsafeEngine !== undefined) return engines;
    throw noEngine(`No engine for models is installed in "${directory}"`);
  }

  #modules(): Record<ModelEngineName, string> {
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const { unsafeEngine } = this.#options;
    return {
      'llama-cpp': unsafeEngine?.module ?? `llama.${extension}`,
      onnxruntime: unsafeEngine?.module ?? `onnx.${extension}`,
      'onnxruntime-web': unsafeEngine?.module ?? `onnxWeb.${extension}`,
    };
  }
}

function here(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url));
}

function noEngine(message: string): SandboxError {
  return new SandboxError({
    code: 'START_FAILED',
    message,
    hint: 'Run "npm run engines", which installs them, or leave models to other workers',
  });
}

function noGpu(reason: string): SandboxError {
  return new SandboxError({
    code: 'START_FAILED',
    message: `Models are to run on a GPU, which can't be used here: ${reason}`,
    hint: 'Install what is missing, or let models run on the processor ("gpu": "auto")',
  });
}

function notAModel(kind: string): SandboxError {
  return new SandboxError({ code: 'INVALID_WORKLOAD', message: `This driver runs models, not a "${kind}"` });
}
