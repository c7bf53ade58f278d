import type { Address } from 'viem';

/** What a vote names and casts. */
export type Cast = {
  readonly voter: Address;
  readonly support: number;
  readonly stakes: readonly (readonly [account: Address, pool: Address])[];
  /** Against, for, abstain; there only where the vote is in parts. */
  readonly amounts?: readonly [bigint, bigint, bigint];
};

/** What the votes go by, as it was at the snapshot. */
export type Snapshot = {
  readonly own: (voter: Address) => bigint;
  readonly voterOf: (account: Address) => Address;
  readonly worth: (account: Address, pool: Address) => bigint;
};

/**
 * How votes are counted, said again in the plainest way: every stake is a bag that is emptied into its voter's hat when it is first
 * named, and casts take out of the hat.
 */
export class BallotModel {
  readonly tally: [bigint, bigint, bigint] = [0n, 0n, 0n];
  readonly hats = new Map<Address, bigint>();
  readonly #named = new Set<string>();
  readonly #snapshot: Snapshot;

  constructor(snapshot: Snapshot) {
    this.#snapshot = snapshot;
  }

  /** Casts, or answers the name of the error and changes nothing. */
  cast({ voter, support, stakes, amounts }: Cast): string | undefined {
    let before = '';
    for (const [account, pool] of stakes) {
      const place = `${account}${pool}`.toLowerCase();
      if (place <= before) return 'PoolVotesNotAscending';
      before = place;
      if (this.#snapshot.voterOf(account) !== voter) return 'PoolVotesNotEntitled';
      if (this.#snapshot.worth(account, pool) === 0n) return 'PoolVotesNothingStaked';
    }
    if (![0, 1, 2, 255].includes(support)) return 'GovernorInvalidVoteType';
    if ((support === 255) !== (amounts !== undefined)) return 'PoolVotesSupportMismatch';
    const bags = stakes.map(([account, pool]) => `${account}${pool}`);
    if (bags.some((bag) => this.#named.has(bag))) return 'PoolVotesStakeCounted';

    const known = this.hats.get(voter);
    const filled = stakes.reduce((sum, [account, pool]) => sum + this.#snapshot.worth(account, pool), 0n);
    const hat = (known ?? this.#snapshot.own(voter)) + filled;
    if (hat === 0n) return known === undefined ? 'PoolVotesNothingToCast' : 'GovernorAlreadyCastVote';
    const parts = amounts ?? ([0, 1, 2].map((side) => (side === support ? hat : 0n)) as [bigint, bigint, bigint]);
    const used = parts[0] + parts[1] + parts[2];
    if (used === 0n) return 'PoolVotesSplitEmpty';
    if (used > hat) return 'PoolVotesSplitTooLarge';
    for (const bag of bags) this.#named.add(bag);
    for (const side of [0, 1, 2] as const) this.tally[side] += parts[side];
    this.hats.set(voter, hat - used);
    return undefined;
  }
}
