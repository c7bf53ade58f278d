import { parentPort } from 'node:worker_threads';
import type { GuestRequest } from './metaVariables.ts';

/** What a thread is told: what it runs with its first call, the call, and a counter of the bytes that are on their way out. */
export type RunTask<Prepared> = {
  readonly prepared?: Prepared;
  readonly request: GuestRequest;
  readonly inFlight: Int32Array<SharedArrayBuffer>;
};

/** What it tells: frames as they come, and that it has ended. */
export type RunMessage = { readonly frame: Uint8Array<ArrayBuffer> } | { readonly ended: true };

/** One call, from its start to its report. */
export type Run = {
  /** Throws nothing. */
  run(): void;
  /** Bytes of memory that its instance had at its end. */
  readonly memoryBytes: number;
};

/** Begins a call; its answer goes to `send` as frames, the last of them the report. */
export type Runner = (request: GuestRequest, send: (frame: Uint8Array<ArrayBuffer>) => void) => Run;

/** Calls of one process that run at once; more of them wait. */
export const maxThreads = 4;
/** How much of an answer may wait to be taken before its module waits too. */
export const maxInFlightBytes = 1024 * 1024;
/** Memory of ended instances is given back at the latest when so much of it has come together. */
const collectAboveBytes = 8 * 1024 * 1024;

/** Runs calls one after the other, each in a new instance, for as long as the thread lives. */
export function serveRuns<Prepared>(runnerOf: (prepared: Prepared) => Runner): void {
  let ended = 0;
  let runner: Runner | undefined;
  parentPort?.on('message', ({ prepared, request, inFlight }: RunTask<Prepared>) => {
    if (prepared !== undefined) runner = runnerOf(prepared);
    if (runner === undefined) throw new Error('A call came before its module');
    const run = runner(request, (frame) => {
      for (let waiting = Atomics.load(inFlight, 0); waiting >= maxInFlightBytes; waiting = Atomics.load(inFlight, 0))
        Atomics.wait(inFlight, 0, waiting);
      Atomics.add(inFlight, 0, frame.length);
      parentPort?.postMessage({ frame } satisfies RunMessage, [frame.buffer]);
    });
    run.run();
    parentPort?.postMessage({ ended: true } satisfies RunMessage);
    ended += run.memoryBytes;
    if (ended < collectAboveBytes) return;
    ended = 0;
    globalThis.gc?.();
  });
}
