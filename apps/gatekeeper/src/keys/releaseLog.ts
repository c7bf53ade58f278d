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

/**
 * What this member released, in order: only ever added to, each entry hashed over all before it. The head goes into the
 * epoch record; the entries of the present epoch bound what one platform gets.
 */
export class ReleaseLog {
  #head: Bytes32 = zeroBytes32;
  #count = 0n;
  readonly #latest: Release[] = [];
  #epoch = -1n;
  readonly #appsByPlatform = new Map<Bytes32, Set<Bytes32>>();

  get head(): { readonly head: Bytes32; readonly count: bigint } {
    return { head: this.#head, count: this.#count };
  }

  /** The newest releases, oldest first. */
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

  #turnTo(epoch: bigint): void {
    if (epoch <= this.#epoch) return;
    this.#epoch = epoch;
    this.#appsByPlatform.clear();
  }
}
