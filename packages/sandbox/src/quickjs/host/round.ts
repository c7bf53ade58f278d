import { createHash } from 'node:crypto';

/** The round that a call belongs to: its time, and the beacon's value as a seed. */
export type GuestRound = { readonly timeMs: number; readonly seed: Uint8Array };

/** The header by which a handler and this program learn of a call's round: "1700000000000 0x…". No caller can set it. */
export const roundHeader = 'cloister-round';

export function readRound(headers: readonly (readonly [name: string, value: string])[]): GuestRound | undefined {
  const value = headers.find(([name]) => name === roundHeader)?.[1];
  const [, timeMs, seed = ''] = /^(\d{1,15}) 0x([0-9a-f]{64})$/.exec(value ?? '') ?? [];
  return timeMs === undefined ? undefined : { timeMs: Number(timeMs), seed: Buffer.from(seed, 'hex') };
}

/** Bytes that follow from a seed: SHA-256 of the seed and a counter of 8 bytes, block after block. */
export class SeededBytes {
  readonly #seed: Uint8Array;
  #counter = 0n;

  constructor(seed: Uint8Array) {
    this.#seed = seed;
  }

  /** The next ones; what is left of the last block is not used. */
  next(length: number): Uint8Array {
    const blocks: Buffer[] = [];
    for (let made = 0; made < length; made += 32) {
      const counter = Buffer.alloc(8);
      counter.writeBigUInt64BE(this.#counter);
      this.#counter += 1n;
      blocks.push(createHash('sha256').update(this.#seed).update(counter).digest());
    }
    return Buffer.concat(blocks).subarray(0, length);
  }
}
