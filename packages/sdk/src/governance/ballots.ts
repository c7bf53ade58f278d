import type { Stake } from '@cloister/chain';
import type { Hex } from '@cloister/core';
import { concatHex, numberToHex } from 'viem';

/** Stakes that one vote may name (`PoolVotes.MAX_STAKES`). */
export const maxStakesOfVote = 64;

/** Votes in PHA's smallest unit. */
export type VoteAmounts = { readonly against: bigint; readonly for: bigint; readonly abstain: bigint };
export type Support = keyof VoteAmounts;
export type WeighedStake = Stake & { readonly worth: bigint };

/** One transaction of a vote: what `castVoteWithReasonAndParams` takes, and the votes that it casts. */
export type Cast = { readonly support: number; readonly params: Hex; readonly votes: bigint };

export const supportNumbers = { against: 0, for: 1, abstain: 2 } as const;
const split = 255;

/** What a voter can cast beside the stakes that are named now. */
export type OpenBallot = {
  /** Of PHA that is delegated to the voter; counted once, at the first cast. */
  readonly own: bigint;
  readonly opened: boolean;
  /** What was named before and not cast. */
  readonly left: bigint;
  readonly stakes: readonly WeighedStake[];
};

/** All that a voter can cast now. */
export function votesLeft({ own, opened, left, stakes }: OpenBallot): bigint {
  return stakes.reduce((sum, { worth }) => sum + worth, opened ? left : own);
}

/** The transactions that cast all that is left to one side, each naming at most {@link maxStakesOfVote} stakes. */
export function castAll(ballot: OpenBallot, support: Support): readonly Cast[] {
  let before = ballot.opened ? ballot.left : ballot.own;
  return batchesOf(ballot.stakes).map((stakes) => {
    const votes = votesLeft({ own: 0n, opened: true, left: before, stakes });
    before = 0n;
    return { support: supportNumbers[support], params: packStakes(stakes), votes };
  });
}

/**
 * The transactions that cast these amounts and leave the rest to later, naming stakes as far as they are needed; the largest first.
 * The caller has checked that there are as many votes.
 */
export function castParts(ballot: OpenBallot, amounts: VoteAmounts): readonly Cast[] {
  const missing = { ...amounts };
  let available = ballot.opened ? ballot.left : ballot.own;
  const casts: Cast[] = [];
  for (const stakes of batchesOf(ballot.stakes)) {
    if (missing.against + missing.for + missing.abstain === 0n) break;
    available = votesLeft({ own: 0n, opened: true, left: available, stakes });
    const before = available;
    const take = (side: Support): Hex => {
      const taken = missing[side] < available ? missing[side] : available;
      missing[side] -= taken;
      available -= taken;
      return numberToHex(taken, { size: 16 });
    };
    const parts = [take('against'), take('for'), take('abstain')];
    casts.push({ support: split, params: concatHex([...parts, packStakes(stakes)]), votes: before - available });
  }
  return casts;
}

/** Pairs of 20 + 20 bytes (account, pool), ascending. */
export function packStakes(stakes: readonly Stake[]): Hex {
  const pairs = stakes.map(({ account, pool }) => concatHex([account, pool]).toLowerCase()).sort();
  return concatHex(pairs as Hex[]);
}

function batchesOf(stakes: readonly WeighedStake[]): readonly (readonly WeighedStake[])[] {
  const sorted = [...stakes].sort((left, right) => (left.worth > right.worth ? -1 : left.worth < right.worth ? 1 : 0));
  const count = Math.max(1, Math.ceil(sorted.length / maxStakesOfVote));
  return Array.from({ length: count }, (_, index) =>
    sorted.slice(index * maxStakesOfVote, (index + 1) * maxStakesOfVote),
  );
}
