import type { FrameMux } from '@cloister/channel/frame';
import type { Bytes32 } from '@cloister/core';
import { ProblemError } from './problem.ts';

/** A worker that has proved itself and is connected now. */
export type ConnectedWorker = {
  readonly workerId: Bytes32;
  readonly mux: FrameMux;
  /** Its announcement as it pushed it, JSON text; undefined until it has. */
  announcement: string | undefined;
  /** Another connection of the same worker has come. */
  readonly onReplaced: () => void;
};

/** The workers connected here. What they announce is a hint: whoever uses it verifies it. */
export class Directory {
  readonly #workers = new Map<Bytes32, ConnectedWorker>();

  get size(): number {
    return this.#workers.size;
  }

  get(workerId: Bytes32): ConnectedWorker | undefined {
    return this.#workers.get(workerId);
  }

  /** Throws ProblemError where it is not there. */
  connected(workerId: Bytes32): ConnectedWorker {
    const worker = this.#workers.get(workerId);
    if (worker !== undefined) return worker;
    throw new ProblemError('worker-not-connected', `The worker "${workerId}" is not connected to this gateway`);
  }

  /** Adds the worker; an older connection of it is replaced. */
  add(worker: ConnectedWorker): void {
    const older = this.#workers.get(worker.workerId);
    this.#workers.set(worker.workerId, worker);
    older?.onReplaced();
  }

  /** Removes this connection, unless a newer one has replaced it. */
  remove(worker: ConnectedWorker): void {
    if (this.#workers.get(worker.workerId) === worker) this.#workers.delete(worker.workerId);
  }

  /** Up to `limit` announced workers in the order of their ids, from the one after `after`. */
  page(
    limit: number,
    after: Bytes32 | undefined,
  ): { readonly workers: readonly ConnectedWorker[]; readonly more: boolean } {
    const announced = [...this.#workers.values()].filter(
      ({ announcement, workerId }) => announcement !== undefined && (after === undefined || workerId > after),
    );
    announced.sort((left, right) => (left.workerId < right.workerId ? -1 : 1));
    return { workers: announced.slice(0, limit), more: announced.length > limit };
  }

  all(): readonly ConnectedWorker[] {
    return [...this.#workers.values()];
  }
}
