import { randomBytes } from 'node:crypto';
import type { Cgroup, CgroupParent } from '../cgroup/cgroup.ts';
import type { Launcher, Seat } from '../walls/launcher.ts';

/** A seat in a control group of its own. */
export type GroupedSeat = { readonly seat: Seat; readonly cgroup: Cgroup | undefined };

/** A refill waits a little, so that it doesn't take the processor from what took the last seat. */
const refillDelayMs = 30;

/** Keeps one seat ready. */
export class SeatPool {
  readonly #launcher: Launcher;
  readonly #cgroups: CgroupParent | undefined;
  #spare: GroupedSeat | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(launcher: Launcher, cgroups: CgroupParent | undefined) {
    this.#launcher = launcher;
    this.#cgroups = cgroups;
  }

  take(): GroupedSeat {
    const spare = this.#spare;
    this.#spare = undefined;
    if (!this.#stopped) {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => {
        this.#spare ??= this.#prepare();
      }, refillDelayMs).unref();
    }
    if (spare?.seat.usable === true) return spare;
    void spare?.cgroup?.remove();
    return this.#prepare();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    const spare = this.#spare;
    this.#spare = undefined;
    spare?.seat.discard();
    await spare?.cgroup?.remove();
  }

  #prepare(): GroupedSeat {
    const cgroup = this.#cgroups?.create(randomBytes(6).toString('hex'));
    return { seat: this.#launcher.prepare(cgroup?.joinFiles ?? []), cgroup };
  }
}
