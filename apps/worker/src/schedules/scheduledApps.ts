import { type Bytes32, type Manifest, SchemaError } from '@cloister/core';
import type { PublishedVersion, PublishedVersions } from './publishedVersions.ts';

export type ScheduledAppsComponents = {
  readonly versions: Pick<PublishedVersions, 'next'>;
  /** A manifest by its id, checked. */
  readonly manifest: (id: Bytes32, signal: AbortSignal) => Promise<Manifest>;
};

/** When to look after an app, and from when on another version of it may serve; the chain's time in unix seconds. */
type Wake = { readonly at: number; readonly newVersionAt: number };
type Unread = PublishedVersion & { readonly tryAt: number; readonly tries: number };

/** Manifests that are read at once, and apps that are remembered. */
const maxReads = 16;
const maxApps = 65_536;
const firstPauseSeconds = 10;
const maxPauseSeconds = 3_600;

/** Which apps of the network have schedules, and when each is to be looked after next. */
export class ScheduledApps {
  readonly #components: ScheduledAppsComponents;
  readonly #wakes = new Map<Bytes32, Wake>();
  readonly #unread = new Map<string, Unread>();

  constructor(components: ScheduledAppsComponents) {
    this.#components = components;
  }

  /** Takes up what was published since, and what could not be read before. Throws ChainError. */
  async follow(now: number, signal: AbortSignal): Promise<void> {
    for (const version of await this.#components.versions.next(signal)) {
      if (this.#unread.size >= maxApps) break;
      this.#unread.set(`${version.app}/${version.manifestId}`, { ...version, tryAt: now, tries: 0 });
    }
    const due = [...this.#unread].filter(([, { tryAt }]) => tryAt <= now).slice(0, maxReads);
    await Promise.all(due.map(([key, version]) => this.#read(key, version, now, signal)));
  }

  /** Apps to look after now. */
  due(now: number): readonly Bytes32[] {
    return [...this.#wakes].filter(([, { at }]) => at <= now).map(([app]) => app);
  }

  /** Looks after an app next at `at`, or when its next version begins to serve; undefined where it has no schedules any more. */
  next(app: Bytes32, at: number | undefined, now: number): void {
    const newVersionAt = this.#wakes.get(app)?.newVersionAt ?? 0;
    const isNewComing = newVersionAt > now;
    if (at === undefined && !isNewComing) this.#wakes.delete(app);
    else
      this.#wakes.set(app, { at: Math.min(at ?? newVersionAt, isNewComing ? newVersionAt : Infinity), newVersionAt });
  }

  async #read(key: string, version: Unread, now: number, signal: AbortSignal): Promise<void> {
    const { app, effectiveAt, manifestId, tries } = version;
    try {
      const manifest = await this.#components.manifest(manifestId, signal);
      this.#unread.delete(key);
      if (manifest.schedules.length === 0 || manifest.kind !== 'function') return;
      const known = this.#wakes.get(app);
      if (known === undefined && this.#wakes.size >= maxApps) return;
      const at = Math.max(now, effectiveAt);
      this.#wakes.set(app, { at: Math.min(at, known?.at ?? at), newVersionAt: effectiveAt });
    } catch (error) {
      signal.throwIfAborted();
      // What is no manifest never becomes one; what no store has now may come.
      if (error instanceof SchemaError) this.#unread.delete(key);
      const pause = Math.min(maxPauseSeconds, firstPauseSeconds * 2 ** tries);
      if (this.#unread.has(key)) this.#unread.set(key, { ...version, tryAt: now + pause, tries: tries + 1 });
    }
  }
}
