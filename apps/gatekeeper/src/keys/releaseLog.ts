import { type Bytes32, type KeyClass, keyClasses, tagHash, zeroBytes32 } from '@cloister/core';

/** One key that this member gave its part of. */
export type Release = {
  readonly app: Bytes32;
  readonly keyVersion: number;
  readonly class: KeyClass;
  readonly context: Bytes32;
  readonly workerId: Bytes32;
  readonly platformId: Bytes32;
  readonly epoch: bigint;
  /** Digest of the request. */
  readonly request: Bytes32;
};

/** head' = H("cloister/release: v1", head, app, keyVersion, class, context, workerId, platformId, epoch, request). */
export function nextReleaseHead(head: Bytes32, release: Release): Bytes32 {
  const { app, keyVersion, context, workerId, platformId, epoch, request } = release;
  return tagHash(
    'cloister/release: v1',
    head,
    app,
    keyVersion,
    keyClasses[release.class],
    context,
    workerId,
    platformId,
    epoch,
    request,
  );
}

const keptReleases = 100_000;
/** Apps of all platforms together whose keys are given in one epoch: bounds what a restart keeps. */
const maxAppsOfEpoch = 65_536;

/** What outlives a restart: enough to go on hashing and counting. */
export type KeptReleases = {
  readonly head: Bytes32;
  readonly count: bigint;
  /** The epoch that `appsByPlatform` is of; -1 before the first release. */
  readonly epoch: bigint;
  readonly appsByPlatform: ReadonlyMap<Bytes32, ReadonlySet<Bytes32>>;
};

/**
 * What this member released, in order: only ever added to, each entry hashed over all before it. The head goes into the
 * epoch record; the entries of the present epoch bound what one platform gets.
 */
export class ReleaseLog {
  #head: Bytes32;
  #count: bigint;
  readonly #latest: Release[] = [];
  #epoch: bigint;
  readonly #appsByPlatform: Map<Bytes32, Set<Bytes32>>;
  readonly #maxAppsOfEpoch: number;

  /** @param kept of before a restart; without it the log starts anew */
  constructor(kept?: KeptReleases, init: { readonly maxAppsOfEpoch?: number } = {}) {
    this.#head = kept?.head ?? zeroBytes32;
    this.#count = kept?.count ?? 0n;
    this.#epoch = kept?.epoch ?? -1n;
    this.#appsByPlatform = new Map([...(kept?.appsByPlatform ?? [])].map(([id, apps]) => [id, new Set(apps)]));
    this.#maxAppsOfEpoch = init.maxAppsOfEpoch ?? maxAppsOfEpoch;
  }

  get head(): { readonly head: Bytes32; readonly count: bigint } {
    return { head: this.#head, count: this.#count };
  }

  /** As it is now, for a restart. */
  get kept(): KeptReleases {
    const { head, count } = this.head;
    return { head, count, epoch: this.#epoch, appsByPlatform: this.#appsByPlatform };
  }

  /** The newest releases since this process began, oldest first. */
  get latest(): readonly Release[] {
    return this.#latest;
  }

  add(release: Release): void {
    this.#head = nextReleaseHead(this.#head, release);
    this.#count += 1n;
    this.#latest.push(release);
    if (this.#latest.length > keptReleases) this.#latest.splice(0, this.#latest.length - keptReleases);
    this.#turnTo(release.epoch);
    const apps = this.#appsByPlatform.get(release.platformId) ?? new Set();
    apps.add(release.app);
    this.#appsByPlatform.set(release.platformId, apps);
  }

  /** How many apps but this one the platform was given keys of in the epoch. */
  appsOf(platformId: Bytes32, except: Bytes32, epoch: bigint): number {
    this.#turnTo(epoch);
    const apps = this.#appsByPlatform.get(platformId);
    return apps === undefined ? 0 : apps.size - (apps.has(except) ? 1 : 0);
  }

  /** Whether the epoch's part of the log can take the app of a platform: always, where it is in it already. */
  hasRoom(platformId: Bytes32, app: Bytes32, epoch: bigint): boolean {
    this.#turnTo(epoch);
    if (this.#appsByPlatform.get(platformId)?.has(app) === true) return true;
    let count = 0;
    for (const apps of this.#appsByPlatform.values()) count += apps.size;
    return count < this.#maxAppsOfEpoch;
  }

  #turnTo(epoch: bigint): void {
    if (epoch <= this.#epoch) return;
    this.#epoch = epoch;
    this.#appsByPlatform.clear();
  }
}
