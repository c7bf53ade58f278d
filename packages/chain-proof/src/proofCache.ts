import type { Hex } from '@cloister/core';

const maxRoots = 256;
const maxSlotsPerRoot = 8_192;
const maxCodeBytes = 16 * 1_024 * 1_024;

/**
 * What was proven and holds for ever, whatever block it was proven for: the words under a storage root, and code under its hash.
 * A contract that did not change between two blocks has the same root, so its words are not asked for again.
 */
export class ProofCache {
  readonly #slots = new Map<Hex, Map<bigint, bigint>>();
  readonly #codes = new Map<Hex, Uint8Array>();
  readonly #lastRoots = new Map<Hex, Hex>();
  #codeBytes = 0;

  /** The storage root that an account had when it was last proven: most have it still. */
  lastRoot(address: Hex): Hex | undefined {
    return this.#lastRoots.get(address);
  }

  keepRoot(address: Hex, storageRoot: Hex): void {
    this.#lastRoots.delete(address);
    this.#lastRoots.set(address, storageRoot);
    dropOldest(this.#lastRoots, maxRoots);
  }

  slot(storageRoot: Hex, slot: bigint): bigint | undefined {
    return this.#slots.get(storageRoot)?.get(slot);
  }

  keepSlot(storageRoot: Hex, slot: bigint, word: bigint): void {
    const slots = this.#slots.get(storageRoot) ?? new Map<bigint, bigint>();
    slots.set(slot, word);
    dropOldest(slots, maxSlotsPerRoot);
    this.#slots.delete(storageRoot);
    this.#slots.set(storageRoot, slots);
    dropOldest(this.#slots, maxRoots);
  }

  code(codeHash: Hex): Uint8Array | undefined {
    return this.#codes.get(codeHash);
  }

  keepCode(codeHash: Hex, code: Uint8Array): void {
    if (this.#codes.has(codeHash)) return;
    this.#codes.set(codeHash, code);
    this.#codeBytes += code.length;
    for (const [hash, { length }] of this.#codes) {
      if (this.#codeBytes <= maxCodeBytes) break;
      this.#codes.delete(hash);
      this.#codeBytes -= length;
    }
  }
}

/** Keeps a map at its size: what was put in first goes first. */
export function dropOldest<K>(map: Map<K, unknown>, max: number): void {
  for (const key of map.keys()) {
    if (map.size <= max) return;
    map.delete(key);
  }
}
