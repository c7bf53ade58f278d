import { randomBytes } from 'node:crypto';
import { chmod, link } from 'node:fs/promises';
import { join } from 'node:path';
import { EgressGate, type GateOptions } from '../gate/egressGate.ts';
import { parseHostRule } from '../gate/hostRule.ts';
import { UnixHttpClient } from '../http/unixClient.ts';
import { ConfinedProcess, type Surroundings } from '../process/confinedProcess.ts';
import type { Workload } from '../sandbox.ts';
import { abortedError, SandboxError, throwIfAborted } from '../sandboxError.ts';
import { TenantLog } from '../tenantLog.ts';
import { captureOutput } from './runtimeOutput.ts';

export type WorkerdOptions = {
  /** The directory in which each process gets its own. */
  readonly directory: string;
  /** The same directory, under a name short enough for the paths of sockets. */
  readonly socketBase: string;
  readonly config: string;
  readonly limits: ConfinedProcessLimits;
  readonly gate: GateOptions;
};

export type ConfinedProcessLimits = Parameters<typeof ConfinedProcess.start>[1]['limits'];

/** A compatibility date for code that names none. */
export const defaultCompatibilityDate = '2026-11-01';

const startDeadlineMs = 15_000;
const controlDeadlineMs = 10_000;

/** One process of the runtime, with its gate: first without a tenant, then, once and for ever, with one. */
export class WorkerdProcess {
  readonly confined: ConfinedProcess;
  /** Where the tenant's handler is called. */
  readonly data: UnixHttpClient;
  readonly #control: UnixHttpClient;
  readonly #gate: EgressGate;
  /** Tells the loader's own reports from what the tenant answers. */
  readonly failureMark = randomBytes(16).toString('hex');
  /** The runtime has said that it got no more memory. */
  memoryExhausted = false;
  #log = new TenantLog();
  #hasTenant = false;

  private constructor(confined: ConfinedProcess, gate: EgressGate, socketDir: string) {
    this.confined = confined;
    this.#gate = gate;
    this.data = new UnixHttpClient(join(socketDir, 'data.sock'));
    this.#control = new UnixHttpClient(join(socketDir, 'control.sock'));
    captureOutput(confined, {
      add: (level, message) => this.#log.add(level, message),
      // Of use where the runtime doesn't start; an app's developer can do nothing with the allocator's tables.
      raw: (line) => {
        if (!this.#hasTenant) this.#log.add('system', line);
      },
      memoryExhausted: () => {
        this.memoryExhausted = true;
      },
    });
    void confined.exited.then(() => {
      this.data.close();
      this.#control.close();
      void gate.close();
    });
  }

  /** Starts a process and waits until it listens. Throws PROCESS_FAILED and ABORTED. */
  static async start(
    surroundings: Surroundings,
    options: WorkerdOptions,
    signal: AbortSignal,
  ): Promise<WorkerdProcess> {
    throwIfAborted(signal);
    const name = randomBytes(6).toString('hex');
    const directory = join(options.directory, name);
    const gate = new EgressGate(options.gate);
    const gateSocket = join(options.directory, `${name}.gate`);
    await gate.listen(join(options.socketBase, `${name}.gate`));
    let confined: ConfinedProcess;
    try {
      // The directory around it lets nobody else in; inside the jail, the tenant's own user has to reach it.
      await chmod(gateSocket, 0o666);
      confined = await ConfinedProcess.start(surroundings, {
        directory,
        files: { config: options.config, gate: gateSocket },
        limits: options.limits,
        args: (inside) => [
          ...['serve', '--experimental', '--binary', '--control-fd=3', inside.file('config')],
          `--socket-addr=data=unix:${inside.runDir}/data.sock`,
          `--socket-addr=control=unix:${inside.runDir}/control.sock`,
          `--external-addr=gate=unix:${inside.file('gate')}`,
        ],
      });
    } catch (error) {
      await gate.close();
      throw error;
    }
    const process = new WorkerdProcess(confined, gate, join(options.socketBase, name));
    try {
      await process.#listening(signal);
      // The tenant can put something else in the place of its sockets; these names for them are out of its reach.
      await link(join(confined.runDir, 'data.sock'), join(directory, 'data.sock'));
      await link(join(confined.runDir, 'control.sock'), join(directory, 'control.sock'));
      return process;
    } catch (error) {
      confined.kill();
      throw error;
    }
  }

  get log(): TenantLog {
    return this.#log;
  }

  /** Runs the loader and one isolate once, so that the first tenant doesn't pay for it. */
  async warm(signal: AbortSignal): Promise<void> {
    await this.#tell('/warm', '', controlDeadlineMs, signal);
  }

  /** Gives the process its tenant. Nothing of the tenant's runs before the first request. */
  async load(
    workload: Workload,
    source: string,
    log: TenantLog,
    refused: (host: string) => void,
    signal: AbortSignal,
  ): Promise<void> {
    this.#log = log;
    this.#hasTenant = true;
    this.#gate.allow(workload.outboundHosts.map(parseHostRule), refused);
    const body = JSON.stringify({
      code: source,
      env: workload.env,
      compatibilityDate: workload.compatibilityDate ?? defaultCompatibilityDate,
      failureMark: this.failureMark,
    });
    await this.#tell('/load', body, controlDeadlineMs, signal);
  }

  /** Whether the process answers within the time: code that never pauses lets nothing else run. */
  async answers(deadlineMs: number): Promise<boolean> {
    try {
      await this.#tell('/ping', '', deadlineMs, new AbortController().signal);
      return true;
    } catch {
      return false;
    }
  }

  /** One request to the loader. Throws PROCESS_FAILED and ABORTED. */
  async #tell(path: string, body: string, deadlineMs: number, signal: AbortSignal): Promise<void> {
    throwIfAborted(signal);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    let status = 0;
    const exchange = this.#control.send(
      { method: 'POST', path, headers: ['host', 'control.invalid'], body: Buffer.from(body) },
      {
        head: (head) => {
          status = head.status;
        },
        data: () => {},
        end: () => (status < 300 ? resolve() : reject(processFailed(`The runtime answered "${status}" to "${path}"`))),
        failed: (error) => reject(processFailed(`The runtime did not take "${path}"`, error)),
      },
    );
    const timer = setTimeout(() => {
      exchange.abort();
      reject(processFailed(`The runtime did not take "${path}" in ${deadlineMs} ms`));
    }, deadlineMs);
    const onAbort = (): void => {
      exchange.abort();
      reject(abortedError(signal));
    };
    signal.addEventListener('abort', onAbort, { once: true });
    await promise.finally(() => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    });
  }

  async #listening(signal: AbortSignal): Promise<void> {
    const limited = AbortSignal.any([signal, AbortSignal.timeout(startDeadlineMs)]);
    let onAbort = (): void => {};
    try {
      await new Promise<void>((resolve, reject) => {
        onAbort = () =>
          reject(signal.aborted ? abortedError(signal) : processFailed('The runtime did not start in time'));
        if (limited.aborted) return onAbort();
        limited.addEventListener('abort', onAbort, { once: true });
        let text = '';
        this.confined.control.on('data', (chunk: Buffer) => {
          if (text.length < 8192) text += chunk.toString('utf8');
          if (text.includes('"data"') && text.includes('"control"') && text.endsWith('\n')) resolve();
        });
        void this.confined.exited.then(({ code, signal: name }) => {
          const said = this.#log.lines().map((line) => line.message);
          reject(processFailed(`The runtime ended at its start (${name ?? code}): ${said.join(' ').slice(0, 500)}`));
        });
      });
    } finally {
      limited.removeEventListener('abort', onAbort);
    }
  }
}

function processFailed(message: string, cause?: unknown): SandboxError {
  return new SandboxError({
    code: 'PROCESS_FAILED',
    message,
    retry: true,
    hint: 'Try again; if it goes on, look for a lack of memory or processes on this machine',
    ...(cause === undefined ? {} : { cause }),
  });
}
