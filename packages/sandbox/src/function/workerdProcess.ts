import { randomBytes } from 'node:crypto';
import { chmod, link } from 'node:fs/promises';
import { join } from 'node:path';
import { ServiceDoor } from '../door/serviceDoor.ts';
import { EgressGate, type GateOptions } from '../gate/egressGate.ts';
import { parseHostRule } from '../gate/hostRule.ts';
import { UnixHttpClient } from '../http/unixClient.ts';
import { ConfinedProcess, type Surroundings } from '../process/confinedProcess.ts';
import { ControlChannel, untilListening } from '../process/controlChannel.ts';
import type { RuntimeProcess } from '../process/runtimeProcess.ts';
import type { Workload } from '../sandbox.ts';
import { throwIfAborted } from '../sandboxError.ts';
import { captureOutput } from '../tenant/runtimeOutput.ts';
import { TenantLog } from '../tenantLog.ts';
import { servicesSource } from './servicesSource.ts';

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

const controlDeadlineMs = 10_000;

/** Whether something of ours stands around the handler: what it is given in `ctx`, or runs by schedule. */
function needsWrapper({ services, scheduled }: Workload): boolean {
  return (services ?? []).length > 0 || scheduled === true;
}

/** One process of the runtime, with its gate: first without a tenant, then, once and for ever, with one. */
export class WorkerdProcess implements RuntimeProcess {
  readonly confined: ConfinedProcess;
  /** Where the tenant's handler is called. */
  readonly data: UnixHttpClient;
  /** By which the tenant reaches the services that it is given. */
  readonly door: ServiceDoor;
  readonly #control: ControlChannel;
  readonly #gate: EgressGate;
  /** Tells the loader's own reports from what the tenant answers. */
  readonly failureMark = randomBytes(16).toString('hex');
  /** The runtime has said that it got no more memory. */
  memoryExhausted = false;
  #log = new TenantLog();
  #hasTenant = false;

  private constructor(confined: ConfinedProcess, gate: EgressGate, door: ServiceDoor, socketDir: string) {
    this.confined = confined;
    this.#gate = gate;
    this.door = door;
    this.data = new UnixHttpClient(join(socketDir, 'data.sock'));
    this.#control = new ControlChannel(join(socketDir, 'control.sock'));
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
      void door.close();
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
    const door = new ServiceDoor();
    const sockets = {
      gate: join(options.directory, `${name}.gate`),
      door: join(options.directory, `${name}.door`),
    };
    await gate.listen(join(options.socketBase, `${name}.gate`));
    let confined: ConfinedProcess;
    try {
      await door.listen(join(options.socketBase, `${name}.door`));
      // The directory around them lets nobody else in; inside the jail, the tenant's own user has to reach them.
      for (const socket of Object.values(sockets)) await chmod(socket, 0o666);
      confined = await ConfinedProcess.start(surroundings, {
        directory,
        files: { config: options.config, ...sockets },
        limits: options.limits,
        args: (inside) => [
          ...['serve', '--experimental', '--binary', '--control-fd=3', inside.file('config')],
          `--socket-addr=data=unix:${inside.runDir}/data.sock`,
          `--socket-addr=control=unix:${inside.runDir}/control.sock`,
          `--external-addr=gate=unix:${inside.file('gate')}`,
          `--external-addr=door=unix:${inside.file('door')}`,
        ],
      });
    } catch (error) {
      await gate.close();
      await door.close();
      throw error;
    }
    const process = new WorkerdProcess(confined, gate, door, join(options.socketBase, name));
    try {
      await untilListening(
        {
          control: confined.control,
          exited: confined.exited,
          says: (text) => text.includes('"data"') && text.includes('"control"') && text.endsWith('\n'),
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

  /** @inheritdoc */
  readonly outboundBytes = (): number => this.#gate.passedBytes;

  get log(): TenantLog {
    return this.#log;
  }

  /** Runs the loader and one isolate once, so that the first tenant doesn't pay for it. */
  async warm(signal: AbortSignal): Promise<void> {
    await this.#control.tell('/warm', new Uint8Array(), controlDeadlineMs, signal);
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
      ...(needsWrapper(workload) && { given: { source: servicesSource, names: workload.services ?? [] } }),
    });
    await this.#control.tell('/load', Buffer.from(body), controlDeadlineMs, signal);
  }

  /** Whether the process answers within the time: code that never pauses lets nothing else run. */
  async answers(deadlineMs: number): Promise<boolean> {
    try {
      await this.#control.tell('/ping', new Uint8Array(), deadlineMs, new AbortController().signal);
      return true;
    } catch {
      return false;
    }
  }
}
