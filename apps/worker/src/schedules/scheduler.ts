import { type Bytes32, sleep } from '@cloister/core';
import { AppSchedules } from './appSchedules.ts';
import type { DueApp } from './scheduledApps.ts';
import type { SchedulerComponents } from './schedulerComponents.ts';
import { Counts } from './turns.ts';

export type SchedulerInit = {
  /** How often it looks what is due, and what was published, in ms. */
  readonly tickMs: number;
  readonly followMs: number;
};

/** Apps that are looked after at once: in all, and of one publisher. */
const maxAtOnce = 16;
const maxOfOne = 4;
const firstPauseSeconds = 5;
const maxPauseSeconds = 60;

/** Runs what is due by the schedules of the apps that are placed on this worker. */
export class Scheduler {
  readonly #components: SchedulerComponents;
  readonly #init: SchedulerInit;
  readonly #schedules: AppSchedules;
  readonly #attending = new Map<Bytes32, { readonly publisher: string; readonly done: Promise<void> }>();
  readonly #failures = new Map<Bytes32, number>();
  #followedMs = Number.NEGATIVE_INFINITY;

  constructor(components: SchedulerComponents, init: SchedulerInit = { tickMs: 1_000, followMs: 5_000 }) {
    this.#components = components;
    this.#init = init;
    this.#schedules = new AppSchedules(components);
  }

  /** Until `signal` aborts, and what was begun is over. */
  async run(signal: AbortSignal): Promise<void> {
    let isAway = false;
    while (!signal.aborted) {
      try {
        await sleep(this.#init.tickMs, signal);
        await this.tick(signal);
        isAway = false;
      } catch (error) {
        if (signal.aborted) break;
        if (!isAway) this.#components.log.warn('schedules: what was published can not be read', { error });
        isAway = true;
      }
    }
    await this.settled();
  }

  /** Begins what is due. Throws what following the chain throws. */
  async tick(signal: AbortSignal): Promise<void> {
    const { scheduled, now } = this.#components;
    const ofOne = new Counts();
    for (const { publisher } of this.#attending.values()) ofOne.add(publisher, 1);
    for (const due of scheduled.due(now())) {
      const { app, publisher } = due;
      if (this.#attending.size >= maxAtOnce) break;
      if (this.#attending.has(app) || ofOne.of(publisher) >= maxOfOne) continue;
      ofOne.add(publisher, 1);
      const done = this.#attend(due, signal).finally(() => this.#attending.delete(app));
      this.#attending.set(app, { publisher, done });
    }
    scheduled.read(now(), signal);
    if (performance.now() - this.#followedMs < this.#init.followMs) return;
    this.#followedMs = performance.now();
    await scheduled.follow(now(), signal);
  }

  /** Once everything that was begun is over. */
  async settled(): Promise<void> {
    await this.#components.scheduled.settled();
    await Promise.all([...this.#attending.values()].map(({ done }) => done));
    await this.#schedules.settled();
  }

  async #attend(due: DueApp, signal: AbortSignal): Promise<void> {
    const { app } = due;
    const { scheduled, now, log } = this.#components;
    try {
      scheduled.next(app, await this.#schedules.attend(due, signal), now());
      this.#failures.delete(app);
    } catch (error) {
      const failures = this.#failures.get(app) ?? 0;
      scheduled.next(app, now() + Math.min(maxPauseSeconds, firstPauseSeconds * 2 ** failures), now());
      this.#failures.set(app, failures + 1);
      if (failures === 0 && !signal.aborted) log.warn('schedules: an app can not be looked after', { app, error });
    }
  }
}
