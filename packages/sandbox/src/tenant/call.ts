import { CloisterError } from '@cloister/core';
import { BodyQueue } from '../http/bodyQueue.ts';
import type { Exchange } from '../http/exchange.ts';
import type { ResponseHead } from '../http/responseParser.ts';
import type { ProcessExit } from '../process/processExit.ts';
import type { RuntimeProcess, RuntimeReport } from '../process/runtimeProcess.ts';
import type { UsageShare } from '../process/usageLedger.ts';
import type { Invocation, InvocationRequest, LimitName, Outcome, RunReport } from '../sandbox.ts';
import { abortedError, SandboxError } from '../sandboxError.ts';

/** Why a call was ended from outside. */
export type CallEnd = { readonly limit?: LimitName; readonly message: string };

export type CallOptions = {
  readonly process: RuntimeProcess;
  /** Nanoseconds. */
  readonly cpu: UsageShare;
  /** Bytes, for kinds that can reach hosts. */
  readonly outbound: UsageShare | undefined;
  readonly outputBytes: number;
  readonly signal: AbortSignal;
  /** The answer is longer than it may be. */
  readonly tooLong: () => void;
  /** The code was refused memory, and failed because of that. */
  readonly outOfMemory: () => void;
  /** The call is over; called once. `clean` where the runtime is known to have finished with it. */
  readonly over: (clean: boolean) => void;
};

type Ending = Pick<Outcome, 'status' | 'limit' | 'message'>;

/** How much of an answer is taken from the process before the caller asks for it. */
const readAheadBytes = 1024 * 1024;
const maxReportBytes = 16 * 1024;

/** One invocation, from the request to its outcome. */
export class Call {
  readonly cpu: UsageShare;
  readonly refusedHosts = new Set<string>();
  readonly #options: CallOptions;
  readonly #startedMs = performance.now();
  readonly #invocation = Promise.withResolvers<Invocation>();
  readonly #finished = Promise.withResolvers<Outcome>();
  readonly #onAbort: () => void;
  #exchange: Exchange | undefined;
  /** Exists from the head of the handler's own answer on. */
  #body: BodyQueue | undefined;
  /** The loader's report of an exception, as far as it has come. */
  #report: string | undefined;
  #outputBytes = 0;
  #fuel: number | undefined;
  #run: RunReport | undefined;
  #over = false;
  #settling = false;
  /** Nothing more is taken from the process until the caller has read what is there. */
  #waitsForReader = false;
  /** The process has all of the request that has come so far. */
  #waitsForInput = false;

  constructor(options: CallOptions) {
    this.#options = options;
    this.cpu = options.cpu;
    this.#onAbort = () => this.fail(abortedError(options.signal));
    options.signal.addEventListener('abort', this.#onAbort, { once: true });
    // Whoever reads the body or waits for the head gets the error there.
    this.#finished.promise.catch(() => {});
  }

  /** Whether it is the caller who is slow: it does not read what is there, or does not send the rest of the request. */
  get waitsForCaller(): boolean {
    return this.#waitsForReader || this.#waitsForInput;
  }

  run(request: InvocationRequest, headers: readonly string[]): Promise<Invocation> {
    // The exchange may not have begun when the caller gives up.
    if (!this.#settling) {
      this.#exchange = this.#options.process.data.send(
        { ...request, headers, ...(request.input && { input: this.#watched(request.input) }) },
        {
          head: (head) => this.#takeHead(head),
          data: (chunk) => this.#takeData(chunk),
          end: (report) => this.#takeEnd(report),
          failed: (error, sent) => void this.#brokenOff(error, sent),
        },
      );
    }
    return this.#invocation.promise;
  }

  /** Ends the call from outside; the first reason counts. */
  end({ limit, message }: CallEnd): void {
    if (this.#settling) return;
    this.#exchange?.abort();
    this.#finish(false);
    this.#settle(limit === undefined ? { status: 'app-error', message } : { status: 'limit', limit, message });
  }

  /** Ends the call with an error for the caller. */
  fail(error: SandboxError): void {
    if (this.#settling) return;
    this.#settling = true;
    this.#exchange?.abort();
    this.#finish(false);
    this.#invocation.reject(error);
    this.#finished.reject(error);
    this.#body?.close(error);
  }

  /** The input as it comes; where it breaks off, so does the call. */
  async *#watched(input: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    this.#waitsForInput = true;
    try {
      for await (const part of input) {
        this.#waitsForInput = false;
        yield part;
        this.#waitsForInput = true;
      }
    } catch (error) {
      const code = error instanceof CloisterError ? error.code : 'unknown';
      this.end({ message: `The request broke off: ${code}` });
    } finally {
      this.#waitsForInput = false;
    }
  }

  #takeHead({ status, headers }: ResponseHead): void {
    if (headers.some(([name, value]) => name === 'cloister-failure' && value === this.#options.process.failureMark)) {
      this.#report = '';
      return;
    }
    this.#body = new BodyQueue({
      highWaterBytes: readAheadBytes,
      drained: () => {
        this.#waitsForReader = false;
        this.#exchange?.resume();
      },
      abandoned: () => this.fail(new SandboxError({ code: 'ABORTED', message: 'The caller stopped reading' })),
    });
    this.#invocation.resolve({
      status,
      headers: headers.filter(([name]) => !connectionHeaders.has(name)),
      body: this.#body,
      finished: this.#finished.promise,
    });
  }

  #takeData(chunk: Uint8Array): void {
    if (this.#report !== undefined) {
      if (this.#report.length < maxReportBytes) this.#report += Buffer.from(chunk).toString('utf8');
      return;
    }
    const room = this.#options.outputBytes - this.#outputBytes;
    const kept = chunk.length <= room ? chunk : chunk.subarray(0, room);
    this.#outputBytes += kept.length;
    if (kept.length > 0 && this.#body?.push(kept) === false) {
      this.#waitsForReader = true;
      this.#exchange?.pause();
    }
    if (chunk.length > room) this.#options.tooLong();
  }

  #takeEnd(report?: RuntimeReport): void {
    if (report !== undefined) {
      this.#fuel = report.fuel;
      this.#run = report.run;
      this.#finish(true);
      this.#settle(report);
      return;
    }
    const message = this.#report === undefined ? undefined : messageOf(this.#report);
    // The code may have caught its breath, but still holds the memory that the next call would be blamed for.
    if (message !== undefined && refusedAllocation.test(message)) this.#options.outOfMemory();
    this.#finish(true);
    if (message === undefined) this.#settle({ status: 'ok' });
    else this.#settle({ status: this.#failed(), message });
  }

  /** A handler that failed, perhaps because a host was refused to it. */
  #failed(): 'refused' | 'app-error' {
    return this.refusedHosts.size > 0 ? 'refused' : 'app-error';
  }

  /** The connection broke by itself: finds out why. */
  async #brokenOff(error: Error, sent: boolean): Promise<void> {
    const { exit, answers } = await this.#askProcess();
    if (this.#settling) return;
    this.#finish(answers);
    const isLoss = 'code' in error && ['ECONNRESET', 'EPIPE'].includes(String(error.code));
    // The process had ended before it got the request.
    if (!sent) this.fail(lostConnectionError(error, false));
    else if (exit !== undefined) this.#settle(this.#describeExit(exit));
    else if (isLoss && this.#body === undefined) this.fail(lostConnectionError(error, true));
    else this.#settle({ status: this.#failed(), message: 'The answer broke off or was not valid HTTP' });
  }

  /** Whether the process goes on, or how it ended. Its connections are seen to end before it does. */
  async #askProcess(): Promise<{ exit?: ProcessExit; answers: boolean }> {
    const { process } = this.#options;
    const exited = process.confined.exited.then((exit) => ({ exit, answers: false }));
    const asked = process.answers(2000).then(async (answers) => {
      if (answers) return { answers };
      return (await within(exited, 3000)) ?? { answers };
    });
    return Promise.race([exited, asked]);
  }

  #describeExit({ signal, code, outOfMemory, outOfPids }: ProcessExit): Ending {
    if (this.#options.process.memoryExhausted || outOfMemory)
      return { status: 'limit', limit: 'memory', message: 'The app passed its memory limit' };
    if (outOfPids) return { status: 'limit', limit: 'pids', message: 'The app passed its limit of processes' };
    return { status: 'app-error', message: `The app's process ended during the call (${signal ?? code})` };
  }

  #settle(ending: Ending): void {
    if (this.#settling) return;
    this.#settling = true;
    const outcome = this.#outcome(ending);
    this.#finished.resolve(outcome);
    if (this.#body === undefined) {
      const body = new BodyQueue({ highWaterBytes: 0, drained() {}, abandoned() {} });
      body.close();
      this.#invocation.resolve({ status: 500, headers: [], body, finished: this.#finished.promise });
    } else this.#body.close();
  }

  #finish(clean: boolean): void {
    if (this.#over) return;
    this.#over = true;
    this.#options.signal.removeEventListener('abort', this.#onAbort);
    this.#options.over(clean);
  }

  #outcome({ status, limit, message }: Ending): Outcome {
    const { outbound } = this.#options;
    return {
      status,
      ...(limit === undefined ? {} : { limit }),
      ...(message === undefined ? {} : { message: message.slice(0, 1024) }),
      refusedHosts: [...this.refusedHosts],
      ...(this.#run === undefined ? {} : { report: this.#run }),
      metering: {
        wallMs: performance.now() - this.#startedMs,
        cpuMs: this.cpu.used / 1e6,
        outputBytes: this.#outputBytes,
        ...(outbound === undefined ? {} : { outboundBytes: Math.round(outbound.used) }),
        peakMemoryBytes: this.#options.process.confined.peakMemoryBytes(),
        ...(this.#fuel === undefined ? {} : { fuel: this.#fuel }),
      },
    };
  }
}

/** What an allocation says that the memory limit has refused, where it is refused rather than punished. */
const refusedAllocation = /^(?:Array buffer allocation failed|Failed to allocate memory for \w+)$/;

const connectionHeaders = new Set([
  'connection',
  'keep-alive',
  'transfer-encoding',
  'content-length',
  'upgrade',
  'trailer',
]);

function messageOf(report: string): string {
  try {
    const value: unknown = JSON.parse(report);
    if (typeof value === 'object' && value !== null && 'message' in value) return String(value.message);
  } catch {
    // Falls through: a report that was cut.
  }
  return 'The handler failed';
}

/** Whether the error says that the call has not run at all. */
export function hasNotRun(error: unknown): boolean {
  return error instanceof SandboxError && error.code === 'PROCESS_FAILED' && error.meta.sent === false;
}

function lostConnectionError(cause: unknown, sent: boolean): SandboxError {
  return new SandboxError({
    code: 'PROCESS_FAILED',
    message: 'The connection to the runtime was lost',
    meta: { sent },
    retry: true,
    hint: sent ? 'The call may have run: repeat it only where that does no harm' : 'The call has not run: repeat it',
    cause,
  });
}

async function within<T>(promise: Promise<T>, deadlineMs: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), deadlineMs);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
