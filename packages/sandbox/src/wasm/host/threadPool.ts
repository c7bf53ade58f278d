import { Worker } from 'node:worker_threads';
import { frameKinds, jsonFrame, type RunReport } from './frames.ts';
import type { RunMessage, RunTask } from './runThread.ts';

/** Where the frames of one call go. `taken` is to be called when the bytes have left. */
export type FrameSink = (frame: Uint8Array, taken: () => void) => void;

type Job<Prepared> = {
  readonly prepared: Prepared;
  readonly task: Omit<RunTask<Prepared>, 'prepared'>;
  readonly sink: FrameSink;
  readonly ended: () => void;
  thread: Worker | undefined;
};

/** A call under way: ends it, whatever it is doing. */
export type RunningCall = { readonly abort: () => void };

/**
 * In MB; the rest of the heap has the limit of the process. The stack is twice what the count of a deterministic module allows
 * (`deterministicStackSlots`).
 */
export const threadLimits = {
  maxYoungGenerationSizeMb: 8,
  codeRangeSizeMb: 16,
  stackSizeMb: 16,
};

/** Threads that run calls, each one at a time. Calls for which there is none wait in their order. */
export class ThreadPool<Prepared extends object> {
  readonly #file: string;
  readonly #most: number;
  readonly #idle: Worker[] = [];
  readonly #waiting: Job<Prepared>[] = [];
  readonly #jobs = new Map<Worker, Job<Prepared>>();
  /** What each thread runs: it is told again only where that is something else. */
  readonly #told = new WeakMap<Worker, Prepared>();

  constructor(file: string, most: number) {
    this.#file = file;
    this.#most = most;
  }

  /** Has a thread ready for the first call. */
  warm(): void {
    if (this.#idle.length === 0 && this.#jobs.size < this.#most) this.#idle.push(this.#create());
  }

  run(prepared: Prepared, task: Job<Prepared>['task'], sink: FrameSink, ended: () => void): RunningCall {
    const job: Job<Prepared> = { prepared, task, sink, ended, thread: undefined };
    this.#waiting.push(job);
    this.#next();
    return { abort: () => this.#abort(job) };
  }

  #next(): void {
    while (this.#waiting.length > 0 && this.#jobs.size < this.#most) {
      const job = this.#waiting.shift();
      if (job === undefined) return;
      const thread = this.#idle.pop() ?? this.#create();
      job.thread = thread;
      this.#jobs.set(thread, job);
      const isTold = this.#told.get(thread) === job.prepared;
      thread.postMessage(isTold ? job.task : { ...job.task, prepared: job.prepared });
      this.#told.set(thread, job.prepared);
    }
  }

  #create(): Worker {
    const thread = new Worker(this.#file, { resourceLimits: threadLimits, stdin: false, env: {} });
    thread.on('message', (message: RunMessage) => {
      const job = this.#jobs.get(thread);
      if (job === undefined) return;
      if ('ended' in message) {
        this.#jobs.delete(thread);
        this.#idle.push(thread);
        job.ended();
        this.#next();
        return;
      }
      const { inFlight } = job.task;
      job.sink(message.frame, () => {
        Atomics.sub(inFlight, 0, message.frame.length);
        Atomics.notify(inFlight, 0);
      });
    });
    thread.on('error', (error) => this.#failed(thread, error));
    return thread;
  }

  /** A thread that ended by itself: its engine got no more memory, or this program is wrong. */
  #failed(thread: Worker, error: Error): void {
    const job = this.#forget(thread);
    if (job === undefined) return;
    const isMemory = 'code' in error && error.code === 'ERR_WORKER_OUT_OF_MEMORY';
    const report: RunReport = isMemory
      ? { status: 'limit', limit: 'memory', message: 'The app passed its memory limit' }
      : { status: 'app-error', message: 'The module could not be run' };
    job.sink(jsonFrame(frameKinds.report, report), () => {});
    job.ended();
    this.#next();
  }

  #abort(job: Job<Prepared>): void {
    const { thread } = job;
    if (thread === undefined) {
      const index = this.#waiting.indexOf(job);
      if (index !== -1) this.#waiting.splice(index, 1);
      return;
    }
    if (this.#jobs.get(thread) !== job) return;
    void thread.terminate().finally(() => {
      this.#forget(thread);
      this.#next();
    });
  }

  #forget(thread: Worker): Job<Prepared> | undefined {
    const job = this.#jobs.get(thread);
    this.#jobs.delete(thread);
    const index = this.#idle.indexOf(thread);
    if (index !== -1) this.#idle.splice(index, 1);
    return job;
  }
}
