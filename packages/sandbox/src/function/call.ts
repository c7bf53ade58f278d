import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import type { ProcessExit } from '../process/confinedProcess.ts';
import type { CpuShare } from '../process/cpuLedger.ts';
import type { Invocation, InvocationRequest, LimitName, Outcome } from '../sandbox.ts';
import { abortedError, SandboxError } from '../sandboxError.ts';
import { exchange } from './exchange.ts';
import type { WorkerdProcess } from './workerdProcess.ts';

/** Why a call was ended from outside. */
export type CallEnd = { readonly limit?: LimitName; readonly message: string };

export type CallOptions = {
  readonly process: WorkerdProcess;
  readonly cpu: CpuShare;
  readonly outputBytes: number;
  readonly signal: AbortSignal;
  /** The answer is longer than it may be. */
  readonly tooLong: () => void;
  /** The call is over; called once. `clean` where the runtime is known to have finished with it. */
  readonly over: (clean: boolean) => void;
};

/** How much of an answer is taken from the process before the caller asks for it. */
const readAheadBytes = 1024 * 1024;
const maxReportBytes = 16 * 1024;

/** One invocation, from the request to its outcome. */
export class Call {
  readonly cpu: CpuShare;
  readonly refusedHosts = new Set<string>();
  /** Nothing more is taken from the process until the caller has read what is there. */
  waitsForCaller = false;
  readonly #options: CallOptions;
  readonly #startedMs = performance.now();
  readonly #connection = new AbortController();
  readonly #onAbort: () => void;
  #outputBytes = 0;
  #over = false;
  #end: CallEnd | undefined;
  #infrastructureError: SandboxError | undefined;

  constructor(options: CallOptions) {
    this.#options = options;
    this.cpu = options.cpu;
    this.#onAbort = () => this.fail(abortedError(options.signal));
    options.signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** Ends the call from outside; the first reason counts. */
  end(reason: CallEnd): void {
    this.#end ??= reason;
    this.#connection.abort();
  }

  /** Ends the call with an error for the caller. */
  fail(error: SandboxError): void {
    this.#infrastructureError ??= error;
    this.#connection.abort();
  }

  async run(request: InvocationRequest, headers: readonly string[]): Promise<Invocation> {
    const { process } = this.#options;
    let answer: IncomingMessage;
    let report: string | undefined;
    try {
      answer = await exchange({
        agent: process.agent,
        socketPath: process.dataSocket,
        method: request.method,
        path: request.path,
        headers,
        body: request.body,
        signal: this.#connection.signal,
      });
      if (answer.headers['cloister-failure'] === process.failureMark) report = await readReport(answer);
    } catch (error) {
      return failure(await this.#brokenOff(error, false));
    }
    if (report !== undefined) {
      this.#finish(true);
      // What an allocation says that the memory limit has refused, where it is refused rather than punished.
      if (report === 'Array buffer allocation failed')
        return failure(this.#outcome({ status: 'limit', limit: 'memory', message: report }));
      return failure(this.#outcome({ status: this.refusedHosts.size > 0 ? 'refused' : 'app-error', message: report }));
    }
    const body = new Readable({ highWaterMark: readAheadBytes, read() {} });
    // What goes wrong comes to the reader of the body, if there is one, and to `finished`.
    body.on('error', () => {});
    const finished = this.#pass(answer, body);
    finished.catch(() => {});
    return { status: answer.statusCode ?? 500, headers: headerPairs(answer.rawHeaders), body, finished };
  }

  /** Passes the answer's bytes on, at the caller's speed beyond the read-ahead. */
  async #pass(answer: IncomingMessage, body: Readable): Promise<Outcome> {
    body.once('close', () => {
      if (!body.readableEnded) this.fail(new SandboxError({ code: 'ABORTED', message: 'The caller stopped reading' }));
    });
    try {
      for await (const chunk of answer as AsyncIterable<Buffer>) {
        this.#outputBytes += chunk.length;
        const excess = this.#outputBytes - this.#options.outputBytes;
        if (excess > 0) {
          if (chunk.length > excess) body.push(chunk.subarray(0, chunk.length - excess));
          this.#outputBytes = this.#options.outputBytes;
          this.#options.tooLong();
          throw new Error('The answer is too long');
        }
        if (!body.push(chunk)) await this.#demand(body);
      }
      this.#finish(true);
      const outcome = this.#outcome({ status: 'ok' });
      body.push(null);
      return outcome;
    } catch (error) {
      answer.destroy();
      try {
        const outcome = await this.#brokenOff(error, true);
        body.push(null);
        return outcome;
      } catch (thrown) {
        body.destroy(thrown instanceof Error ? thrown : undefined);
        throw thrown;
      }
    }
  }

  /** Waits until the caller has read most of what is there. */
  async #demand(body: Readable): Promise<void> {
    this.waitsForCaller = true;
    const { promise, resolve } = Promise.withResolvers<void>();
    body._read = () => resolve();
    this.#connection.signal.addEventListener('abort', () => resolve(), { once: true });
    await promise;
    this.waitsForCaller = false;
    this.#connection.signal.throwIfAborted();
  }

  /** The connection broke: says why. Throws where it was not the code's doing. */
  async #brokenOff(error: unknown, hadBegun: boolean): Promise<Outcome> {
    try {
      const exit = this.#endedFromOutside() ? undefined : await this.#howProcessEnded();
      if (this.#infrastructureError !== undefined) throw this.#infrastructureError;
      this.#finish(false);
      if (this.#end?.limit !== undefined) return this.#outcome({ status: 'limit', ...this.#end });
      if (this.#end !== undefined) return this.#outcome({ status: 'app-error', ...this.#end });
      // The process ended between two calls.
      if (!hadBegun && isUnreachable(error)) throw lostConnectionError(error, false);
      if (exit !== undefined) return this.#outcome(this.#describeExit(exit));
      if (hadBegun || !isConnectionLoss(error))
        return this.#outcome({ status: 'app-error', message: 'The answer broke off or was not valid HTTP' });
      throw lostConnectionError(error);
    } finally {
      this.#finish(false);
    }
  }

  #endedFromOutside(): boolean {
    return this.#end !== undefined || this.#infrastructureError !== undefined;
  }

  /** How the process ended, or undefined where it goes on. Its connections are seen to end before it does. */
  async #howProcessEnded(): Promise<ProcessExit | undefined> {
    const { process } = this.#options;
    const { exited } = process.confined;
    const alive = process.answers(2000).then((answers) => (answers ? undefined : within(exited, 3000)));
    return Promise.race([exited, alive]);
  }

  #describeExit(exit: ProcessExit): Pick<Outcome, 'status' | 'limit' | 'message'> {
    if (this.#options.process.memoryExhausted || exit.outOfMemory)
      return { status: 'limit', limit: 'memory', message: 'The app passed its memory limit' };
    if (exit.outOfPids) return { status: 'limit', limit: 'pids', message: 'The app passed its limit of processes' };
    return { status: 'app-error', message: `The app's process ended during the call (${exit.signal ?? exit.code})` };
  }

  #finish(clean: boolean): void {
    if (this.#over) return;
    this.#over = true;
    this.#options.signal.removeEventListener('abort', this.#onAbort);
    this.#options.over(clean);
  }

  #outcome({ status, limit, message }: Pick<Outcome, 'status' | 'limit' | 'message'>): Outcome {
    return {
      status,
      ...(limit === undefined ? {} : { limit }),
      ...(message === undefined ? {} : { message: message.slice(0, 1024) }),
      refusedHosts: [...this.refusedHosts],
      metering: {
        wallMs: performance.now() - this.#startedMs,
        cpuMs: this.cpu.nanoseconds / 1e6,
        outputBytes: this.#outputBytes,
        peakMemoryBytes: this.#options.process.confined.peakMemoryBytes(),
      },
    };
  }
}

function failure(outcome: Outcome): Invocation {
  return { status: 500, headers: [], body: Readable.from([]), finished: Promise.resolve(outcome) };
}

/** The loader's report of an exception. */
async function readReport(answer: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    if (text.length < maxReportBytes) text += chunk.toString('utf8');
  }
  try {
    const report: unknown = JSON.parse(text);
    if (typeof report === 'object' && report !== null && 'message' in report) return String(report.message);
  } catch {
    // Falls through: a report that was cut.
  }
  return 'The handler failed';
}

/** Headers of the answer, without those of the connection. */
function headerPairs(rawHeaders: readonly string[]): [string, string][] {
  const pairs: [string, string][] = [];
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] ?? '').toLowerCase();
    if (!connectionHeaders.has(name)) pairs.push([name, rawHeaders[index + 1] ?? '']);
  }
  return pairs;
}

const connectionHeaders = new Set(['connection', 'keep-alive', 'transfer-encoding', 'content-length', 'upgrade']);

function isConnectionLoss(error: unknown): boolean {
  return error instanceof Error && 'code' in error && ['ECONNRESET', 'EPIPE'].includes(String(error.code));
}

/** No connection could be made, so the request was never sent. */
function isUnreachable(error: unknown): boolean {
  return error instanceof Error && 'code' in error && ['ECONNREFUSED', 'ENOENT'].includes(String(error.code));
}

/** Whether the error says that the call has not run at all. */
export function hasNotRun(error: unknown): boolean {
  return error instanceof SandboxError && error.code === 'PROCESS_FAILED' && error.meta.sent === false;
}

function lostConnectionError(cause: unknown, sent = true): SandboxError {
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
