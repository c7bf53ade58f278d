import { type Address, epochAttemptSeconds } from '@cloister/core';
import type { CommitteeState } from './committeeState.ts';

export type TurnsInit = {
  readonly operator: Address;
  readonly state: () => CommitteeState | undefined;
};

/** What members take turns at: from when (unix seconds), and who comes first of so many. */
export type Duty<Key> = {
  readonly key: Key;
  readonly since: bigint;
  readonly first: (members: number) => number;
};

/**
 * Who of the members does what any of them could do for all: turns of a minute, each member once in its turn, so that whatever one leaves
 * undone the next one does.
 */
export class Turns<Key> {
  readonly #init: TurnsInit;
  /** The turn in which this member last looked at each. */
  readonly #looked = new Map<Key, bigint>();

  constructor(init: TurnsInit) {
    this.#init = init;
  }

  /** Whether this member's turn has come: once in each. `now` in unix seconds. */
  takes({ key, since, first }: Duty<Key>, now: bigint): boolean {
    const { operator, state } = this.#init;
    const members = state()?.generation.members ?? [];
    if (members.length === 0 || now < since) return false;
    const turn = (now - since) / epochAttemptSeconds;
    const whose = members[Number((BigInt(first(members.length)) + turn) % BigInt(members.length))];
    if (whose?.operator !== operator || this.#looked.get(key) === turn) return false;
    this.#looked.set(key, turn);
    return true;
  }

  /** Nothing more is to be done for any but these. */
  keepOnly(keys: ReadonlySet<Key>): void {
    for (const key of this.#looked.keys()) if (!keys.has(key)) this.#looked.delete(key);
  }
}
