import type { Bytes32 } from '@cloister/core';

/**
 * Why a blob is kept. `paid`: an app's rental covers it, and it is never dropped. `named`: an app that exists names it, within what an
 * app may have for nothing. `free`: nobody stands for it; such go first.
 */
export type BlobStanding = 'paid' | 'named' | 'free';

/** An app's word that a blob is one of its own. */
export type HeldClaim = {
  readonly app: Bytes32;
  /** Of its signing: an earlier one changes nothing any more. */
  readonly epoch: number;
  /** False: taken back, and remembered so that an earlier claim can't be shown again. */
  readonly keep: boolean;
  /** Among all claims: those made first are covered first. */
  readonly sequence: number;
};

export type BookedBlob = { readonly bytes: number; readonly claims: readonly HeldClaim[] };
type Entry = { readonly bytes: number; readonly claims: readonly HeldClaim[]; standing: BlobStanding };
/** How one app stands for one blob. */
type Grant = { readonly sequence: number; readonly bytes: number; readonly standing: BlobStanding };
type AppUse = { readonly grants: Map<string, Grant>; bytes: number; paid: number; named: number };

export type BlobBookInit = {
  /** What an app has without paying. Bytes. */
  readonly namedBytesPerApp: number;
};

/** What an app holds here. Bytes on disk. */
export type AppHoldings = { readonly blobs: number; readonly bytes: number; readonly paidBytes: number };

/**
 * Which blobs are here, who stands for them, and which were used least recently. Within an app, what was claimed first is covered first:
 * nothing that is claimed later takes a blob's cover away. A blob that several apps claim counts for each of them.
 */
export class BlobBook {
  readonly #namedBytesPerApp: number;
  readonly #entries = new Map<string, Entry>();
  /** Of each standing, least recently used first. */
  readonly #tiers = { paid: new Set<string>(), named: new Set<string>(), free: new Set<string>() };
  readonly #bytes = { paid: 0, named: 0, free: 0 };
  readonly #apps = new Map<Bytes32, AppUse>();
  /** Until payments are known, whatever an app claimed counts as paid. */
  #quota: (app: Bytes32) => number = () => Number.POSITIVE_INFINITY;
  #lastSequence = 0;

  constructor(init: BlobBookInit) {
    this.#namedBytesPerApp = init.namedBytesPerApp;
  }

  get totalBytes(): number {
    return this.paidBytes + this.unpaidBytes;
  }

  get paidBytes(): number {
    return this.#bytes.paid;
  }

  /** What can be dropped. */
  get unpaidBytes(): number {
    return this.#bytes.named + this.#bytes.free;
  }

  nextSequence(): number {
    this.#lastSequence += 1;
    return this.#lastSequence;
  }

  of(id: string): BookedBlob | undefined {
    return this.#entries.get(id);
  }

  standingOf(id: string): BlobStanding | undefined {
    return this.#entries.get(id)?.standing;
  }

  /** Whether this app pays for this blob. */
  isPaidBy(app: Bytes32, id: string): boolean {
    return this.#apps.get(app)?.grants.get(id)?.standing === 'paid';
  }

  /** Enters a blob as the one used last, or replaces what was known of it. Claims are in the order of their making. */
  enter(id: string, { bytes, claims }: BookedBlob): void {
    const kept = new Map(this.#take(id)?.claims.map((claim) => [claim.app, claim]));
    this.#entries.set(id, { bytes, claims, standing: 'free' });
    this.#tiers.free.add(id);
    this.#bytes.free += bytes;
    for (const { app, sequence, keep } of claims) {
      this.#lastSequence = Math.max(this.#lastSequence, sequence);
      kept.delete(app);
      if (keep) this.#grant(this.#useOf(app), app, id, sequence);
      else this.#withdraw(app, id);
    }
    for (const app of kept.keys()) this.#withdraw(app, id);
    this.#settle(id);
  }

  remove(id: string): void {
    for (const { app } of this.#take(id)?.claims ?? []) this.#withdraw(app, id);
  }

  /** Makes it the one used last. */
  use(id: string): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    this.#tiers[entry.standing].delete(id);
    this.#tiers[entry.standing].add(id);
  }

  /** What to drop next: of those that nobody stands for, then of those that an app names, the one not used for longest, but for one. */
  leastUsed(but?: string): string | undefined {
    for (const tier of [this.#tiers.free, this.#tiers.named]) for (const id of tier) if (id !== but) return id;
    return undefined;
  }

  /** Bytes that each app pays for, from now on. All is counted anew, in the order in which it was claimed. */
  setQuota(quota: (app: Bytes32) => number): void {
    this.#quota = quota;
    for (const app of this.#apps.keys()) this.recount(app);
  }

  /** Counts an app's blobs anew, so that room which came free covers what was claimed later. */
  recount(app: Bytes32): void {
    const use = this.#apps.get(app);
    if (use === undefined) return;
    const inOrder = [...use.grants].sort(([, left], [, right]) => left.sequence - right.sequence);
    use.grants.clear();
    [use.bytes, use.paid, use.named] = [0, 0, 0];
    for (const [id, { sequence }] of inOrder) this.#grant(use, app, id, sequence);
    for (const [id] of inOrder) this.#settle(id);
  }

  /** Whether so many bytes more of an app would be paid. */
  hasRoom(app: Bytes32, bytes: number): boolean {
    return (this.#apps.get(app)?.paid ?? 0) + bytes <= this.#quota(app);
  }

  /** Whether an app stands for a blob, or could for so many bytes more, paid or not. */
  isOrCanBe(app: Bytes32, id: string, bytes: number): boolean {
    const use = this.#apps.get(app);
    if (use?.grants.has(id)) return true;
    return this.hasRoom(app, bytes) || (use?.named ?? 0) + bytes <= this.#namedBytesPerApp;
  }

  holdingsOf(app: Bytes32): AppHoldings {
    const use = this.#apps.get(app);
    return { blobs: use?.grants.size ?? 0, bytes: use?.bytes ?? 0, paidBytes: use?.paid ?? 0 };
  }

  /** Takes an entry out; the apps' grants stay. */
  #take(id: string): Entry | undefined {
    const entry = this.#entries.get(id);
    if (entry === undefined) return undefined;
    this.#entries.delete(id);
    this.#tiers[entry.standing].delete(id);
    this.#bytes[entry.standing] -= entry.bytes;
    return entry;
  }

  #useOf(app: Bytes32): AppUse {
    const known = this.#apps.get(app);
    if (known !== undefined) return known;
    const use: AppUse = { grants: new Map(), bytes: 0, paid: 0, named: 0 };
    this.#apps.set(app, use);
    return use;
  }

  #grant(use: AppUse, app: Bytes32, id: string, sequence: number): void {
    if (use.grants.has(id)) return;
    const bytes = this.#entries.get(id)?.bytes ?? 0;
    let standing: BlobStanding = 'free';
    if (use.paid + bytes <= this.#quota(app)) {
      use.paid += bytes;
      standing = 'paid';
    } else if (use.named + bytes <= this.#namedBytesPerApp) {
      use.named += bytes;
      standing = 'named';
    }
    use.bytes += bytes;
    use.grants.set(id, { sequence, bytes, standing });
  }

  #withdraw(app: Bytes32, id: string): void {
    const use = this.#apps.get(app);
    const grant = use?.grants.get(id);
    if (use === undefined || grant === undefined) return;
    use.grants.delete(id);
    use.bytes -= grant.bytes;
    if (use.grants.size === 0) this.#apps.delete(app);
    else if (grant.standing !== 'free') this.recount(app);
  }

  /** Puts a blob where the best that any app does for it says. */
  #settle(id: string): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    let standing: BlobStanding = 'free';
    for (const { app } of entry.claims) {
      const granted = this.#apps.get(app)?.grants.get(id)?.standing;
      if (granted === 'paid' || (granted === 'named' && standing === 'free')) standing = granted;
    }
    if (standing === entry.standing) return;
    this.#tiers[entry.standing].delete(id);
    this.#bytes[entry.standing] -= entry.bytes;
    entry.standing = standing;
    this.#tiers[standing].add(id);
    this.#bytes[standing] += entry.bytes;
  }
}
