import type { Bytes32 } from '@cloister/core';
import type { Generation } from '../committeeState.ts';
import type { PublicShares } from './publicShares.ts';
import { type SharePair, secretsOf } from './sharePair.ts';

/** What a member holds of one generation. */
export type HeldGeneration = {
  readonly number: bigint;
  /** Of the handover that makes it count. */
  readonly digest: Bytes32;
  readonly publicShares: PublicShares;
  /** Undefined for whoever took part without getting any. */
  readonly shares: SharePair | undefined;
};

/**
 * A member's shares: those that count, and those that will count if the chain takes the handover that made them. The chain
 * alone decides: new shares become active, and everything older is overwritten, only when their handover is final.
 */
export class ShareStore {
  #active: HeldGeneration | undefined;
  #pending: HeldGeneration[] = [];

  /** What counts now. */
  get active(): HeldGeneration | undefined {
    return this.#active;
  }

  /** Everything that may still be needed: for sealing at rest. */
  get held(): readonly HeldGeneration[] {
    return [...(this.#active === undefined ? [] : [this.#active]), ...this.#pending];
  }

  /** Keeps new shares until the chain has decided. At most as many as attempts of one handover can make. */
  keep(generation: HeldGeneration): void {
    if (this.#pending.some(({ digest }) => digest === generation.digest)) return;
    this.#pending.push(generation);
    while (this.#pending.length > maxPending) wipe(this.#pending.shift());
  }

  /**
   * Follows what is final: takes up the shares of that generation, and overwrites all that it makes old. True where anything
   * changed.
   */
  follow(final: Generation): boolean {
    if (final.number === 0n || this.#active?.digest === final.digest) return false;
    const taken = this.#pending.find(({ digest }) => digest === final.digest);
    const isNewer = this.#active === undefined || this.#active.number < final.number;
    // A chain that shows less than it did has no say over keys.
    if (!isNewer) return false;
    const stale = this.held.filter((one) => one !== taken && one.number <= final.number);
    for (const one of stale) wipe(one);
    this.#pending = this.#pending.filter((one) => one !== taken && one.number > final.number);
    this.#active = taken;
    return stale.length > 0 || taken !== undefined;
  }

  /** Overwrites everything. */
  wipe(): void {
    for (const one of this.held) wipe(one);
    this.#active = undefined;
    this.#pending = [];
  }
}

const maxPending = 8;

function wipe(generation: HeldGeneration | undefined): void {
  if (generation?.shares !== undefined) for (const share of secretsOf(generation.shares)) share.wipe();
}
