import { type Bytes32, type Manifest, SchemaError, withDeadline } from '@cloister/core';
import type { Logger } from '@cloister/service';
import type { PublishedVersion, PublishedVersions } from './publishedVersions.ts';
import { Counts, Turns } from './turns.ts';

export type ScheduledAppsComponents = {
  readonly versions: Pick<PublishedVersions, 'next'>;
  /** A manifest by its id, checked. */
  readonly manifest: (id: Bytes32, signal: AbortSignal) => Promise<Manifest>;
  readonly log: Pick<Logger, 'warn'>;
};

/** An app to be looked after. */
export type DueApp = { readonly app: Bytes32; readonly publisher: string };

/** When to look after an app, and from when on another version of it may serve; the chain's time in unix seconds. */
type Wake = { readonly at: number; readonly newVersionAt: number; readonly publisher: string };
type Unread = PublishedVersion & { readonly tryAt: number; readonly tries: number };

/** Manifests that are read at once: in all, of one publisher, and of those that could not be read before. */
const maxReads = 16;
const maxReadsOfOne = 4;
const maxReadsAgain = 4;
/** For all stores that are asked for one. */
const readTimeoutMs = 20_000;
/** Apps that are remembered, and manifests that wait to be read: in all, and of one publisher. */
const maxApps = 65_536;
const maxAppsOfOne = 4_096;
const firstPauseSeconds = 10;
const maxPauseSeconds = 3_600;

/**
 * Which apps of the network have schedules, and when each is to be looked after next. Anybody may publish as much as he pays for: who
 * publishes many versions, or such as no store has, waits for them himself.
 */
export class ScheduledApps {
  readonly #components: ScheduledAppsComponents;
  readonly #wakes = new Map<Bytes32, Wake>();
  readonly #unread = new Turns<Unread>();
  readonly #failed = new Turns<Unread>();
  /** Manifests that wait, or are being read. */
  readonly #known = new Set<string>();
  readonly #reading = new Map<string, { readonly version: Unread; readonly done: Promise<void> }>();
  /** By publisher: manifests that wait, and apps that are remembered. */
  readonly #waiting = new Counts();
  readonly #remembered = new Counts();
  #hasWarned = false;

  constructor(components: ScheduledAppsComponents) {
    this.#components = components;
  }

  /** Takes up what was published since. Throws ChainError. */
  async follow(now: number, signal: AbortSignal): Promise<void> {
    for (const version of await this.#components.versions.next(signal)) this.#add({ ...version, tryAt: now, tries: 0 });
  }

  /** Begins to read manifests, as many as may be read at once. */
  read(now: number, signal: AbortSignal): void {
    const ofOne = new Counts();
    let again = 0;
    for (const { version } of this.#reading.values()) {
      ofOne.add(version.publisher, 1);
      if (version.tries > 0) again += 1;
    }
    const mayTake = (publisher: string, { tryAt }: Unread) => tryAt <= now && ofOne.of(publisher) < maxReadsOfOne;
    while (this.#reading.size < maxReads) {
      const isAgain = again < maxReadsAgain;
      const version = this.#unread.take(mayTake) ?? (isAgain ? this.#failed.take(mayTake) : undefined);
      if (version === undefined) return;
      ofOne.add(version.publisher, 1);
      if (version.tries > 0) again += 1;
      const key = keyOf(version);
      const done = this.#read(version, now, signal).finally(() => this.#reading.delete(key));
      this.#reading.set(key, { version, done });
    }
  }

  /** Apps to look after now, those first that are due for longest. */
  due(now: number): readonly DueApp[] {
    return [...this.#wakes]
      .filter(([, { at }]) => at <= now)
      .sort(([, left], [, right]) => left.at - right.at)
      .map(([app, { publisher }]) => ({ app, publisher }));
  }

  /** Looks after an app next at `at`, or when its next version begins to serve; undefined where it has no schedules any more. */
  next(app: Bytes32, at: number | undefined, now: number): void {
    const known = this.#wakes.get(app);
    if (known === undefined) return;
    const { newVersionAt, publisher } = known;
    const isNewComing = newVersionAt > now;
    if (at === undefined && !isNewComing) {
      this.#wakes.delete(app);
      this.#remembered.add(publisher, -1);
      return;
    }
    const next = Math.min(at ?? newVersionAt, isNewComing ? newVersionAt : Infinity);
    this.#wakes.set(app, { at: next, newVersionAt, publisher });
  }

  /** Once nothing is being read. */
  async settled(): Promise<void> {
    await Promise.all([...this.#reading.values()].map(({ done }) => done));
  }

  #add(version: Unread): void {
    const key = keyOf(version);
    if (this.#known.has(key)) return;
    if (this.#known.size >= maxApps) this.#forget(this.#failed.take(() => true));
    if (this.#known.size >= maxApps || this.#waiting.of(version.publisher) >= maxAppsOfOne) {
      this.#warn(version);
      return;
    }
    this.#known.add(key);
    this.#waiting.add(version.publisher, 1);
    this.#unread.push(version.publisher, version);
  }

  #forget(version: Unread | undefined): void {
    if (version !== undefined && this.#known.delete(keyOf(version))) this.#waiting.add(version.publisher, -1);
  }

  /** Never rejects. */
  async #read(version: Unread, now: number, signal: AbortSignal): Promise<void> {
    const { app, effectiveAt, manifestId, publisher, tries } = version;
    try {
      const limits = { timeoutMs: readTimeoutMs, signal, what: `Reading manifest "${manifestId}"` };
      const manifest = await withDeadline(limits, (inner) => this.#components.manifest(manifestId, inner));
      this.#forget(version);
      if (manifest.schedules.length === 0 || manifest.kind !== 'function') return;
      const known = this.#wakes.get(app);
      if (known === undefined) {
        if (this.#wakes.size >= maxApps || this.#remembered.of(publisher) >= maxAppsOfOne) {
          this.#warn(version);
          return;
        }
        this.#remembered.add(publisher, 1);
      }
      const at = Math.max(now, effectiveAt);
      const wake = { at: Math.min(at, known?.at ?? at), newVersionAt: effectiveAt, publisher };
      this.#wakes.set(app, wake);
    } catch (error) {
      // What is no manifest never becomes one; what no store has now may come.
      if (error instanceof SchemaError) {
        this.#forget(version);
        return;
      }
      const pause = Math.min(maxPauseSeconds, firstPauseSeconds * 2 ** tries);
      this.#failed.push(publisher, { ...version, tryAt: now + pause, tries: tries + 1 });
    }
  }

  #warn({ app, publisher }: PublishedVersion): void {
    const message = 'schedules: more is published than can be remembered; some apps will not be looked after here';
    if (!this.#hasWarned) this.#components.log.warn(message, { app, publisher });
    this.#hasWarned = true;
  }
}

function keyOf({ app, manifestId }: PublishedVersion): string {
  return `${app}/${manifestId}`;
}
