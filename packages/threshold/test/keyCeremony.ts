import type { SecretBytes } from '@cloister/crypto';
import {
  type Commitments,
  combineFresh,
  combineResharing,
  combineShares,
  deal,
  parseCommitments,
  publicShareAt,
} from '../src/dkg/index.ts';

/** All members' shares of one key, as only a test may hold them together. */
export type Sharing = {
  readonly threshold: number;
  readonly commitments: Commitments;
  /** Of member 1, 2, … */
  readonly shares: readonly SecretBytes[];
};

/** A key made by joint dealing of all `count` members. */
export function makeKey(threshold: number, count: number): Sharing {
  const dealings = Array.from({ length: count }, () => deal({ threshold, count }));
  const { commitments, weights } = combineFresh(
    dealings.map((dealing) => parseCommitments(dealing.commitments, threshold)),
  );
  const shares = Array.from({ length: count }, (_, member) =>
    combineShares(
      dealings.map((dealing) => dealing.shares[member] as SecretBytes),
      weights,
    ),
  );
  return { threshold, commitments, shares };
}

/** The same key among `count` new members, dealt by the old members at `dealers` (indices from 1). */
export function reshare(old: Sharing, dealers: readonly number[], threshold: number, count: number): Sharing {
  const dealings = dealers.map((index) => deal({ threshold, count, secret: old.shares[index - 1] as SecretBytes }));
  const { commitments, weights } = combineResharing(
    dealings.map((dealing, position) =>
      parseCommitments(dealing.commitments, threshold, publicShareAt(old.commitments, dealers[position] as number)),
    ),
    dealers,
  );
  const shares = Array.from({ length: count }, (_, member) =>
    combineShares(
      dealings.map((dealing) => dealing.shares[member] as SecretBytes),
      weights,
    ),
  );
  return { threshold, commitments, shares };
}

/** Every choice of `size` of the numbers 1 to `count`. */
export function choices(count: number, size: number): number[][] {
  if (size === 0) return [[]];
  return choices(count, size - 1).flatMap((chosen) =>
    Array.from({ length: count }, (_, index) => index + 1)
      .filter((index) => index > (chosen.at(-1) ?? 0))
      .map((index) => [...chosen, index]),
  );
}
