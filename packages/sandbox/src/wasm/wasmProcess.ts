import { randomBytes } from 'node:crypto';
import { link } from 'node:fs/promises';
import { join } from 'node:path';
import { UnixHttpClient } from '../http/unixClient.ts';
import { ConfinedProcess, type Surroundings } from '../process/confinedProcess.ts';
import { ControlChannel, untilListening } from '../process/controlChannel.ts';
import type { RuntimeProcess } from '../process/runtimeProcess.ts';
import type { Workload } from '../sandbox.ts';
import { throwIfAborted } from '../sandboxError.ts';
import { captureOutput } from '../tenant/runtimeOutput.ts';
import { TenantLog } from '../tenantLog.ts';
import { WasmData } from './wasmData.ts';

export type WasmProcessOptions = {
  /** The directory in which each process gets its own. */
  readonly directory: string;
  /** The same directory, under a name short enough for the paths of sockets. */
  readonly socketBase: string;
  /** The file with the program. */
  readonly program: string;
  /** What the program is told with its tenant. */
  readonly loadMessage: LoadMessage;
  /** Most memory that JavaScript may hold in each thread, in MiB. */
  readonly heapMebibytes: number;
  readonly limits: Parameters<typeof ConfinedProcess.start>[1]['limits'];
};

/** A head and bytes, as {@link message} puts them together. */
export type LoadMessage = (workload: Workload, signal: AbortSignal) => Uint8Array | Promise<Uint8Array>;

/** The name of the program inside the walls: Node.js takes the file for a module by its end. */
export const programName = 'program.mjs';
const controlDeadlineMs = 10_000;

/** One process of Node.js that runs modules: first without a tenant, then, once and for ever, with one. */
export class WasmProcess implements RuntimeProcess {
  readonly confined: ConfinedProcess;
  readonly data: WasmData;
  readonly failureMark = undefined;
  memoryExhausted = false;
  readonly #http: UnixHttpClient;
  readonly #control: ControlChannel;
  readonly #loadMessage: LoadMessage;
  #log = new TenantLog();
  #hasTenant = false;

  private constructor(confined: ConfinedProcess, socketDir: string, loadMessage: LoadMessage) {
    this.confined = confined;
    this.#loadMessage = loadMessage;
    this.#http = new UnixHttpClient(join(socketDir, 'data.sock'));
    this.data = new WasmData(this.#http);
    this.#control = new ControlChannel(join(socketDir, 'control.sock'));
    captureOutput(confined, {
      add: (level, text) => this.#log.add(level, text),
      raw: (line) => {
        if (!this.#hasTenant) this.#log.add('system', line);
      },
      memoryExhausted: () => {
        this.memoryExhausted = true;
      },
    });
    void confined.exited.then(() => {
      this.#http.close();
      this.#control.close();
    });
  }

  /** Starts a process and waits until it listens. Throws PROCESS_FAILED and ABORTED. */
  static async start(
    surroundings: Surroundings,
    options: WasmProcessOptions,
    signal: AbortSignal,
  ): Promise<WasmProcess> {
    throwIfAborted(signal);
    const name = randomBytes(6).toString('hex');
    const directory = join(options.directory, name);
    const confined = await ConfinedProcess.start(surroundings, {
      directory,
      files: { [programName]: options.program },
      limits: options.limits,
      args: (inside) => [
        ...['--no-warnings', '--expose-gc', `--max-old-space-size=${options.heapMebibytes}`],
        inside.file(programName),
        ...['data', 'control'].map((socket) => `${inside.runDir}/${socket}.sock`),
      ],
    });
    const process = new WasmProcess(confined, join(options.socketBase, name), options.loadMessage);
    try {
      await untilListening(
        {
          control: confined.control,
          exited: confined.exited,
          says: (text) => text === 'listening\n',
          printed: () => process.#log.lines().map((line) => line.message),
        },
        signal,
      );
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

  /** Has a thread ready that has run what the message holds, so that the first call doesn't wait for that. */
  async warm(told: Uint8Array | undefined, signal: AbortSignal): Promise<void> {
    await this.#control.tell('/warm', told ?? new Uint8Array(), controlDeadlineMs, signal);
  }

  /** @inheritdoc */
  async load(
    workload: Workload,
    _source: string,
    log: TenantLog,
    _refused: (host: string) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const told = await this.#loadMessage(workload, signal);
    this.#log = log;
    this.#hasTenant = true;
    await this.#control.tell('/load', told, controlDeadlineMs, signal);
  }

  /** @inheritdoc */
  async answers(deadlineMs: number): Promise<boolean> {
    try {
      await this.#control.tell('/ping', new Uint8Array(), deadlineMs, new AbortController().signal);
      return true;
    } catch {
      return false;
    }
  }
}
