import { invocationHeader } from '../door/serviceDoor.ts';
import type { RuntimeProcess } from '../process/runtimeProcess.ts';
import type { Invocation, InvocationRequest, LogLine, Outcome, ScheduledEvent, Tenant, Workload } from '../sandbox.ts';
import { abortedError, SandboxError, throwIfAborted } from '../sandboxError.ts';
import type { TenantServices } from '../services.ts';
import { TenantLog } from '../tenantLog.ts';
import { requestHeaders } from '../workload.ts';
import { hasNotRun } from './call.ts';
import { RestartLimit, type RestartPolicy } from './restartLimit.ts';
import { TenantProcess } from './tenantProcess.ts';

export type ProcessTenantOptions = {
  readonly workload: Workload;
  /** The workload's code as text. */
  readonly source: string;
  readonly restarts: RestartPolicy;
  readonly watchedMemoryBytes: number | undefined;
  /** Gives a process that has no tenant yet. */
  readonly takeProcess: (signal: AbortSignal) => Promise<RuntimeProcess>;
  readonly closed: () => void;
  /** Nothing of it runs any more. */
  readonly gone: () => void;
};

/** One workload, with a process that is replaced when it ends. */
export class ProcessTenant implements Tenant {
  readonly #options: ProcessTenantOptions;
  readonly #log = new TenantLog();
  readonly #restarts: RestartLimit;
  readonly #closing = new AbortController();
  #slots = 0;
  #current: TenantProcess | undefined;
  #starting: Promise<TenantProcess> | undefined;

  constructor(options: ProcessTenantOptions) {
    this.#options = options;
    this.#restarts = new RestartLimit(options.restarts);
  }

  /** Has a process ready. */
  async ready(signal: AbortSignal): Promise<void> {
    await this.#process(signal);
  }

  /** @inheritdoc */
  async invoke(
    request: InvocationRequest,
    { signal, services = {} }: { signal: AbortSignal; services?: TenantServices },
  ): Promise<Invocation> {
    throwIfAborted(signal);
    this.#throwIfClosed();
    const headers = requestHeaders(request);
    this.#assertScheduled(request);
    const { kind, deterministic, limits } = this.#options.workload;
    const { maxConcurrent } = limits;
    if (request.input !== undefined && (kind !== 'function' || deterministic))
      throw new SandboxError({
        code: 'INVALID_REQUEST',
        message: `A ${deterministic ? 'deterministic workload' : 'workload'} of kind "${kind}" takes no streamed request`,
        hint: 'Give it the whole body',
      });
    if (this.#slots >= maxConcurrent) throw busyError(maxConcurrent);
    this.#slots += 1;
    try {
      return await this.#invokeOnce(request, headers, services, signal);
    } catch (error) {
      // The process ended just before: another one takes the call, which nobody has seen yet.
      if (!hasNotRun(error) || request.input !== undefined) throw error;
    }
    throwIfAborted(signal);
    this.#throwIfClosed();
    this.#slots += 1;
    return this.#invokeOnce(request, headers, services, signal);
  }

  /** Gives the slot back in every case: at once where the call can't begin, and else when it's over. */
  async #invokeOnce(
    request: InvocationRequest,
    headers: readonly string[],
    services: TenantServices,
    signal: AbortSignal,
  ): Promise<Invocation> {
    const release = (): void => {
      this.#slots -= 1;
    };
    let process: TenantProcess;
    try {
      process = await this.#process(signal);
    } catch (error) {
      release();
      throw error;
    }
    const given = this.#options.workload.services?.length ? process.process.door?.open(services) : undefined;
    const call = process.begin(signal, release, given?.close);
    const marked = given === undefined ? headers : [...headers, invocationHeader, given.token];
    const invocation = await call.run(request, marked);
    invocation.finished
      .then((outcome) => {
        this.#logFailure(outcome);
        if (request.scheduled !== undefined) this.#logRun(request.scheduled, outcome);
      })
      .catch(() => {});
    return invocation;
  }

  /** Why a call failed is for the owner: callers are told no text that the code chose. */
  #logFailure({ status, limit, message, refusedHosts }: Outcome): void {
    for (const host of refusedHosts)
      this.#log.add('system', `The host "${host}" was refused: the manifest does not name it`);
    if (status !== 'ok')
      this.#log.add('system', `A call ended with "${limit ?? status}"${message === undefined ? '' : `: ${message}`}`);
  }

  /** Nobody gets the answer of a run by schedule: its owner finds here that there was one. */
  #logRun({ cron, scheduledTime, attempt }: ScheduledEvent, { status, limit, metering }: Outcome): void {
    const due = new Date(scheduledTime).toISOString();
    const again = attempt === 1 ? '' : `, attempt ${attempt}`;
    const [wallMs, cpuMs] = [Math.ceil(metering.wallMs), Math.ceil(metering.cpuMs)];
    this.#log.add(
      'system',
      `Schedule "${cron}" of ${due}${again}: "${limit ?? status}" after ${wallMs} ms, ${cpuMs} ms of the processor`,
    );
  }

  /** @inheritdoc */
  logs(): readonly LogLine[] {
    return this.#log.lines();
  }

  /** @inheritdoc */
  async close(): Promise<void> {
    await this.closeWith(new SandboxError({ code: 'TENANT_CLOSED', message: 'The app was closed during the call' }));
  }

  /** Ends the process; calls in progress fail with the error. */
  async closeWith(error: SandboxError): Promise<void> {
    if (!this.#closing.signal.aborted) {
      this.#closing.abort(error);
      this.#options.closed();
    }
    const process = (await this.#starting?.catch(() => undefined)) ?? this.#current;
    await process?.stop(error);
    this.#options.gone();
  }

  async #process(signal: AbortSignal): Promise<TenantProcess> {
    if (this.#current !== undefined && !this.#current.ended) return this.#current;
    this.#starting ??= this.#start().finally(() => {
      this.#starting = undefined;
    });
    // The start goes on for other callers when this one gives up.
    return abortable(this.#starting, signal);
  }

  async #start(): Promise<TenantProcess> {
    if (!this.#restarts.take()) throw restartingError(this.#options.workload);
    const { workload, source, takeProcess, watchedMemoryBytes } = this.#options;
    const { signal } = this.#closing;
    let process: RuntimeProcess | undefined;
    try {
      process = await takeProcess(signal);
      await process.load(workload, source, this.#log, (host) => this.#current?.refused(host), signal);
    } catch (error) {
      process?.confined.kill();
      this.#throwIfClosed();
      throw error;
    }
    this.#current = new TenantProcess({ process, limits: workload.limits, watchedMemoryBytes, log: this.#log });
    return this.#current;
  }

  #assertScheduled({ scheduled }: InvocationRequest): void {
    if (scheduled === undefined || this.#options.workload.scheduled === true) return;
    throw new SandboxError({
      code: 'INVALID_REQUEST',
      message: `The app "${this.#options.workload.tenant}" has no schedules`,
      meta: { field: 'scheduled' },
    });
  }

  #throwIfClosed(): void {
    const { signal } = this.#closing;
    if (!signal.aborted) return;
    if (signal.reason instanceof SandboxError && signal.reason.code === 'STOPPED') throw signal.reason;
    throw new SandboxError({ code: 'TENANT_CLOSED', message: `The app "${this.#options.workload.tenant}" is closed` });
  }
}

function busyError(maxConcurrent: number): SandboxError {
  return new SandboxError({
    code: 'TENANT_BUSY',
    message: `The app is at its limit of ${maxConcurrent} calls at once`,
    meta: { maxConcurrent },
    retry: true,
    hint: 'Try again when one of them has ended',
  });
}

function restartingError({ tenant }: Workload): SandboxError {
  return new SandboxError({
    code: 'TENANT_RESTARTING',
    message: `The app "${tenant}" has ended its process too often`,
    meta: { tenant },
    retry: true,
    hint: "Try again in a second; if it goes on, read the app's log and raise the limit that it names",
  });
}

/** The promise's value, unless the signal fires first. */
function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(abortedError(signal));
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
