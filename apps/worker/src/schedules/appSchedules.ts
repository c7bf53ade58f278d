import { type Bytes32, nextOccurrence, parseCron, sleep } from '@cloister/core';
import { randomBytes, toHex } from '@cloister/crypto';
import { HostsBook } from '../state/hostsBook.ts';
import { runScheduled } from './runScheduled.ts';
import {
  type RunClaim,
  readScheduleBook,
  type ScheduleBook,
  type ScheduleRecord,
  scheduleBookBytes,
  scheduleBookKey,
  scheduleStep,
} from './scheduleBook.ts';
import type { DueApp } from './scheduledApps.ts';
import type { SchedulerComponents, ServedVersion } from './schedulerComponents.ts';

/** How much later each host looks than the one before it, so that one of them mostly does it alone; and the latest. */
const patienceSeconds = 5;
const maxPatienceSeconds = 30;
/** Beyond an app's time for a call, until a host that runs it is taken for lost. */
const claimMarginSeconds = 30;
/** An app is looked after so often at least. */
const maxWakeSeconds = 3_600;
/** Runs at once: in all, and of the apps of one publisher. */
const maxRuns = 16;
const maxRunsOfOne = 4;
const finishPauseMs = 2_000;

/**
 * The schedules of one app after the other, as one of its hosts looks after them: in the book of the app's hosts it claims what is due,
 * runs it, and writes down that it is over. Who claims first runs it; where that host is lost, another begins again after a while.
 */
export class AppSchedules {
  readonly #components: SchedulerComponents;
  /** By app and schedule. */
  readonly #runs = new Map<string, { readonly publisher: string; readonly done: Promise<void> }>();

  constructor(components: SchedulerComponents) {
    this.#components = components;
  }

  /** Does what there is to do; answers when to look again, undefined for an app without schedules. Runs go on afterwards. */
  async attend({ app, publisher }: DueApp, signal: AbortSignal): Promise<number | undefined> {
    const { serving, hosts, workerId, now } = this.#components;
    const version = await serving(app, signal);
    const crons = version.manifest.schedules.map(({ cron }) => cron);
    if (crons.length === 0) return undefined;
    const rank = (await hosts(version, signal)).indexOf(workerId);
    // Who its hosts are may change with the next term: it is asked again when something is due.
    if (rank === -1) return Math.min(...crons.map((cron) => dueAfter(cron, now())));
    const patience = Math.min(maxPatienceSeconds, rank * patienceSeconds);
    const values = await this.#book(version).read([scheduleBookKey], signal);
    const book = readScheduleBook(values.get(scheduleBookKey));
    const looked = await Promise.allSettled(
      crons.map((cron) => this.#attendOne({ ...version, publisher }, cron, book.get(cron), patience, signal)),
    );
    const failed = looked.find((one) => one.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    return Math.min(...looked.map((one) => (one.status === 'fulfilled' ? one.value : Number.POSITIVE_INFINITY)));
  }

  /** Once all runs are over. */
  async settled(): Promise<void> {
    await Promise.all([...this.#runs.values()].map(({ done }) => done));
  }

  async #attendOne(
    version: ServedVersion & { readonly publisher: string },
    cron: string,
    known: ScheduleRecord | undefined,
    patience: number,
    signal: AbortSignal,
  ): Promise<number> {
    const { now, apps } = this.#components;
    const step = scheduleStep(known, parseCron(cron), now());
    if (step.type === 'idle') return dueAfter(cron, now()) + patience;
    if (step.type === 'wait') return step.until + patience;
    const key = `${version.app}/${cron}`;
    if (step.type === 'run') {
      // Still going here, beyond its time: another host may begin again.
      if (this.#runs.has(key)) return now() + 1;
      if (now() < step.due + patience) return step.due + patience;
      // It stays due from then on: what waits longest for room comes first.
      if (!this.#hasRoom(version.publisher)) return step.due;
      // A host that can't run it claims nothing.
      await apps.load(version.app, signal, version.manifestId);
    }
    const claim = await this.#decide(version, cron, signal);
    if (claim === undefined) return step.type === 'run' ? now() + 1 : dueAfter(cron, now()) + patience;
    const done = this.#run(version, cron, claim, signal).finally(() => this.#runs.delete(key));
    this.#runs.set(key, { publisher: version.publisher, done });
    return Math.min(dueAfter(cron, now()), claim.until) + patience;
  }

  #hasRoom(publisher: string): boolean {
    const { length } = [...this.#runs.values()].filter((run) => run.publisher === publisher);
    return this.#runs.size < maxRuns && length < maxRunsOfOne;
  }

  /** What there is to do is judged again by what stands in the book when it is changed; answers what this host is to run. */
  #decide(version: ServedVersion, cron: string, signal: AbortSignal): Promise<RunClaim | undefined> {
    const { now } = this.#components;
    const token = toHex(randomBytes(16));
    const crons = version.manifest.schedules.map((one) => one.cron);
    const runSeconds = Math.ceil(version.manifest.limits.wallMs / 1_000) + claimMarginSeconds;
    return this.#book(version).change(
      [scheduleBookKey],
      (values) => {
        const book = readScheduleBook(values.get(scheduleBookKey));
        const known = book.get(cron);
        if (known?.claim?.token === token) return { changes: [], result: known.claim };
        const step = scheduleStep(known, parseCron(cron), now());
        if (step.type === 'idle' || step.type === 'wait') return { changes: [], result: undefined };
        if (step.type !== 'run') {
          const settled = step.type === 'begin' ? now() : step.until;
          return { changes: changeOf(book, crons, cron, { settled, claim: null }), result: undefined };
        }
        const claim = { due: step.due, attempt: step.attempt, until: now() + runSeconds, token };
        const settled = known?.settled ?? now();
        return { changes: changeOf(book, crons, cron, { settled, claim }), result: claim };
      },
      signal,
    );
  }

  async #run(version: ServedVersion, cron: string, claim: RunClaim, signal: AbortSignal): Promise<void> {
    const { log } = this.#components;
    const { app } = version;
    try {
      await runScheduled(this.#components, version, cron, claim, signal);
      await this.#finish(app, cron, claim, signal);
    } catch (error) {
      // The claim stays: after its time a host begins again.
      if (!signal.aborted) log.warn('schedules: a run did not come to its end', { app, cron, due: claim.due, error });
    }
  }

  /** Writes down that a run is over, for as long as nobody else may begin it again: by the version that serves then. */
  async #finish(app: Bytes32, cron: string, { due, until, token }: RunClaim, signal: AbortSignal): Promise<void> {
    const { serving, now } = this.#components;
    for (;;) {
      try {
        const version = await serving(app, signal);
        const crons = version.manifest.schedules.map((one) => one.cron);
        await this.#book(version).change(
          [scheduleBookKey],
          (values) => {
            const book = readScheduleBook(values.get(scheduleBookKey));
            const isOurs = book.get(cron)?.claim?.token === token;
            const over = { settled: due, claim: null };
            return { changes: isOurs ? changeOf(book, crons, cron, over) : [], result: undefined };
          },
          signal,
        );
        return;
      } catch (error) {
        signal.throwIfAborted();
        if (now() >= until) throw error;
        await sleep(finishPauseMs, signal);
      }
    }
  }

  #book({ app, manifestId, keyVersion }: ServedVersion): HostsBook {
    return new HostsBook({ states: this.#components.states, owner: { app, manifest: manifestId, keyVersion } });
  }
}

function changeOf(book: ScheduleBook, crons: readonly string[], cron: string, record: ScheduleRecord) {
  return [[scheduleBookKey, scheduleBookBytes(book, crons, cron, record)]] as const;
}

/** When a schedule is due next, or an hour from now. */
function dueAfter(cron: string, now: number): number {
  return nextOccurrence(parseCron(cron), now, now + maxWakeSeconds) ?? now + maxWakeSeconds;
}
