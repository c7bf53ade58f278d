import { type Bytes32, CloisterError, type Hex } from '@cloister/core';
import { fromHex, toHex } from '@cloister/crypto';
import { type CombineInit, choicesWithLast, combineVerified, type Partial } from '@cloister/threshold/combine';

export type SignatureGathererInit = Pick<CombineInit, 'verify' | 'uncompress'> & {
  /** 48 bytes, G1. */
  readonly beaconKey: Uint8Array;
  readonly threshold: number;
};

/** Puts the members' parts of one signature together, as they come; what is wrong among them is left out. */
export class SignatureGatherer {
  readonly #message: Uint8Array;
  readonly #init: SignatureGathererInit;
  readonly #partials = new Map<bigint, Partial[]>();
  #signature: Hex | undefined;

  constructor(message: Bytes32, init: SignatureGathererInit) {
    this.#message = fromHex(message);
    this.#init = init;
  }

  /** The committee's signature, verified; undefined before enough good parts have come. */
  get signature(): Hex | undefined {
    return this.#signature;
  }

  /** @param index the member's place, from 1: parts of two generations do not fit together */
  add(generation: bigint, index: number, partial: Hex): void {
    if (this.#signature !== undefined) return;
    const partials = this.#partials.get(generation) ?? [];
    partials.push({ index, signature: fromHex(partial) });
    this.#partials.set(generation, partials);
    const { beaconKey, threshold, verify, uncompress } = this.#init;
    for (const chosen of choicesWithLast(partials, threshold)) {
      try {
        const init = { message: this.#message, publicKey: beaconKey, threshold };
        const { signature } = combineVerified(chosen, {
          ...init,
          ...(verify && { verify }),
          ...(uncompress && { uncompress }),
        });
        this.#signature = toHex(signature);
        return;
      } catch (error) {
        if (!(error instanceof CloisterError)) throw error;
      }
    }
  }
}
