import { randomBytes } from 'node:crypto';
import { link } from 'node:fs/promises';
import { join } from 'node:path';
import { ConfinedProcess, type Surroundings } from '../process/confinedProcess.ts';
import { ControlChannel, processFailed, untilListening } from '../process/controlChannel.ts';
import type { RuntimeProcess } from '../process/runtimeProcess.ts';
import type { Workload } from '../sandbox.ts';
import { throwIfAborted } from '../sandboxError.ts';
import { captureOutput } from '../tenant/runtimeOutput.ts';
import { TenantLog } from '../tenantLog.ts';
import type { EngineConfig } from './host/engine.ts';
import { ReportingClient } from './reportingClient.ts';

export type ModelProcessOptions = {
  /** The directory in which each process gets its own. */
  readonly directory: string;
  /** The same directory, under a name short enough for the paths of sockets. */
  readonly socketBase: string;
  readonly weightsFile: string;
  readonly limits: Parameters<typeof ConfinedProcess.start>[1]['limits'];
  /** Most memory that JavaScript may hold, in MiB: what an engine holds natively comes on top. */
  readonly heapMebibytes: number;
  /** Engine names and the modules, below the folder of engines, that open them. */
  readonly modules: Readonly<Record<string, string>>;
  readonly threads: number;
  /** Whether the process has the machine's GPUs, and may do without. */
  readonly gpu: EngineConfig['gpu'];
};

const controlDeadlineMs = 10_000;

/** One process of the model host, for one tenant. */
export class ModelProcess implements RuntimeProcess {
  readonly confined: ConfinedProcess;
  readonly data: ReportingClient;
  readonly failureMark = randomBytes(16).toString('hex');
  memoryExhausted = false;
  readonly #options: ModelProcessOptions;
  readonly #control: ControlChannel;
  #log = new TenantLog();

  private constructor(confined: ConfinedProcess, options: ModelProcessOptions, socketDir: string) {
    this.confined = confined;
    this.#options = options;
    this.data = new ReportingClient(join(socketDir, 'data.sock'));
    this.#control = new ControlChannel(join(socketDir, 'control.sock'));
    captureOutput(confined, {
      add: (level, message) => this.#log.add(level, message),
      raw: (line) => this.#log.add('system', line),
      memoryExhausted: () => {
        this.memoryExhausted = true;
      },
    });
    void confined.exited.then(() => {
      this.data.close();
      this.#control.close();
    });
  }

  /** Starts a process and waits until it listens. Throws PROCESS_FAILED and ABORTED. */
  static async start(
    surroundings: Surroundings,
    options: ModelProcessOptions,
    signal: AbortSignal,
  ): Promise<ModelProcess> {
    throwIfAborted(signal);
    const name = randomBytes(6).toString('hex');
    const directory = join(options.directory, name);
    const { weightsFile: weights, limits } = options;
    const confined = await ConfinedProcess.start(surroundings, {
      ...{ directory, limits, files: { weights } },
      args: ({ file, runDir }) => [
        // No code from text: what isn't in the engine's files doesn't run.
        ...[
          '--disallow-code-generation-from-strings',
          `--max-old-space-size=${options.heapMebibytes}`,
          '--no-warnings',
        ],
        file(`host/${hostMain}`),
        ...[
          runDir,
          file('engines'),
          file('node_modules'),
          file('weights'),
          ...(options.gpu !== undefined ? [file('gpu_modules')] : []),
        ],
      ],
    });
    const process = new ModelProcess(confined, options, join(options.socketBase, name));
    try {
      const { control, exited } = confined;
      const printed = (): string[] => process.#log.lines().map((line) => line.message);
      await untilListening({ control, exited, says: (text) => text.includes('listening'), printed }, signal);
      // The tenant can put something else in the place of its sockets; these names for them are out of its reach.
      await link(join(confined.runDir, 'data.sock'), join(directory, 'data.sock'));
      await link(join(confined.runDir, 'control.sock'), join(directory, 'control.sock'));
      await confined.closeRunDir();
      return process;
    } catch (error) {
      confined.kill();
      throw error;
    }
  }

  /** @inheritdoc */
  async load({ env, limits, model }: Workload, _: string, log: TenantLog, __: unknown, signal: AbortSignal) {
    if (model === undefined) throw processFailed('The workload has no model');
    this.#log = log;
    const { name, contextTokens, maxTokens } = model;
    const { maxConcurrent } = limits;
    const body = JSON.stringify({
      engine: this.#options.modules[model.engine],
      failureMark: this.failureMark,
      env,
      config: { name, contextTokens, maxTokens, maxConcurrent, threads: this.#options.threads, gpu: this.#options.gpu },
    });
    await this.#control.tell('/load', Buffer.from(body), controlDeadlineMs, signal);
  }

  /** @inheritdoc */
  async answers(deadlineMs: number): Promise<boolean> {
    return this.#control.tell('/ping', new Uint8Array(), deadlineMs, new AbortController().signal).then(
      () => true,
      () => false,
    );
  }
}

/** As it lies beside this file: compiled where this is. */
const hostMain = `main${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`;
