import type { RuntimeProcess } from '../process/runtimeProcess.ts';
import { UsageLedger } from '../process/usageLedger.ts';
import type { LimitName, WorkloadLimits } from '../sandbox.ts';
import type { SandboxError } from '../sandboxError.ts';
import type { TenantLog } from '../tenantLog.ts';
import { Call } from './call.ts';

export type TenantProcessOptions = {
  readonly process: RuntimeProcess;
  readonly limits: WorkloadLimits;
  /** What the process may hold in all, where only looking at it again and again limits that. */
  readonly watchedMemoryBytes: number | undefined;
  readonly log: TenantLog;
};

const watchIntervalMs = 20;
/** How long a process without calls keeps the processor, for what its last answer left to do. */
const idleGraceMs = 1000;

/** A process that has its tenant, the calls in it, and the limits that hold for them. */
export class TenantProcess {
  readonly process: RuntimeProcess;
  readonly #options: TenantProcessOptions;
  readonly #cpu: UsageLedger;
  readonly #outbound: UsageLedger;
  readonly #calls = new Set<Call>();
  #watch: NodeJS.Timeout | undefined;
  #lastCallMs = 0;

  constructor(options: TenantProcessOptions) {
    this.#options = options;
    this.process = options.process;
    this.#cpu = new UsageLedger(() => options.process.confined.cpuNanoseconds());
    this.#outbound = new UsageLedger(() => options.process.outboundBytes?.() ?? 0);
    void options.process.confined.exited.then(() => this.#rest());
  }

  get ended(): boolean {
    return this.process.confined.ended;
  }

  /**
   * A new call, under the wall-clock limit from now on. `ended` follows as soon as it is over, `released` when its place can be given to
   * another.
   */
  begin(signal: AbortSignal, released: () => void, ended: () => void = () => {}): Call {
    const { limits } = this.#options;
    this.process.confined.resume();
    const [cpu, outbound] = [this.#cpu.begin(), this.#outbound.begin()];
    const deadlineMs = performance.now() + limits.wallMs;
    const call = new Call({
      process: this.process,
      cpu,
      outbound: this.process.outboundBytes === undefined ? undefined : outbound,
      outputBytes: limits.outputBytes,
      signal,
      outOfMemory: () => this.#end(call, 'memory', 'The app passed its memory limit'),
      tooLong: () => this.#end(call, 'output', `The answer is longer than ${limits.outputBytes} bytes`),
      over: (clean) => {
        clearTimeout(timer);
        ended();
        this.#cpu.end(cpu);
        this.#outbound.end(outbound);
        const patienceMs = clean ? 0 : Math.max(100, deadlineMs - performance.now());
        void this.#release(call, patienceMs).then(released);
      },
    });
    const timer = setTimeout(() => this.#wallPassed(call), limits.wallMs);
    this.#calls.add(call);
    this.#watch ??= setInterval(() => this.#look(), watchIntervalMs).unref();
    return call;
  }

  refused(host: string): void {
    for (const call of this.#calls) if (call.refusedHosts.size < 64) call.refusedHosts.add(host);
  }

  /** Ends the process; calls in progress fail with the error. */
  async stop(error: SandboxError): Promise<void> {
    this.process.confined.kill();
    for (const call of this.#calls) call.fail(error);
    await this.process.confined.exited;
  }

  /**
   * Code whose caller has gone may still run, and if it never pauses the next call would only run into it: so the place
   * stays taken until the process answers, and a process that doesn't answer in time is ended.
   */
  async #release(call: Call, patienceMs: number): Promise<void> {
    const { confined } = this.process;
    if (patienceMs > 0 && !this.ended && !(await this.process.answers(patienceMs))) confined.kill();
    this.#calls.delete(call);
    this.#lastCallMs = performance.now();
  }

  #rest(): void {
    clearInterval(this.#watch);
    this.#watch = undefined;
  }

  #wallPassed(call: Call): void {
    const message = `The call took longer than ${this.#options.limits.wallMs} ms`;
    // Where the caller is what is slow, the other calls of this process needn't suffer for it.
    if (call.waitsForCaller)
      call.end({
        limit: 'wall',
        message: `${message}: the caller did not read the answer, or did not send the rest of the request`,
      });
    else this.#end(call, 'wall', message);
  }

  /** Checks the limits that nothing else holds, and sends a process without calls to rest. */
  #look(): void {
    if (this.#calls.size === 0 && performance.now() - this.#lastCallMs > idleGraceMs) {
      this.#rest();
      if (!this.ended) this.process.confined.pause();
      return;
    }
    this.#cpu.update();
    const { limits, watchedMemoryBytes } = this.#options;
    const { cpuMs } = limits;
    for (const call of this.#calls) {
      if (cpuMs === undefined || call.cpu.used <= cpuMs * 1e6) continue;
      this.#end(call, 'cpu', `The call used more than ${cpuMs} ms of processor time`);
      return;
    }
    if (watchedMemoryBytes === undefined || this.process.confined.residentBytes() <= watchedMemoryBytes) return;
    // First the process: the places of its calls are free at once only when it can't go on.
    this.process.confined.kill();
    for (const call of this.#calls) call.end({ limit: 'memory', message: 'The app passed its memory limit' });
  }

  /** Ends the process because of one call. The other calls in it end too: nothing says which of them did what. */
  #end(culprit: Call, limit: LimitName, message: string): void {
    this.#cpu.update();
    this.#options.log.add('system', `${message}: the process was ended`);
    this.process.confined.kill();
    culprit.end({ limit, message });
    for (const call of this.#calls)
      call.end({ message: `The app's process was ended because another call passed its limit of "${limit}"` });
  }
}
