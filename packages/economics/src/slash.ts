import { assertWithin, partDown, partUp } from './shares.ts';

/** What `Slashing` punishes. */
export type Offence = 'equivocation' | 'twoRecords' | 'wrongResult' | 'silence' | 'downtime';

/** What each offence costs of what is at stake, in ten-thousandths: the contract's first table, and the bounds that governance has. */
export const slashTable: Readonly<
  Record<Offence, { readonly bps: bigint; readonly minimumBps: bigint; readonly maximumBps: bigint }>
> = {
  equivocation: { bps: 10_000n, minimumBps: 5_000n, maximumBps: 10_000n },
  twoRecords: { bps: 10_000n, minimumBps: 5_000n, maximumBps: 10_000n },
  wrongResult: { bps: 3_000n, minimumBps: 1n, maximumBps: 5_000n },
  silence: { bps: 500n, minimumBps: 1n, maximumBps: 2_000n },
  downtime: { bps: 50n, minimumBps: 1n, maximumBps: 200n },
};

/** The most that a reporter gets of what was slashed. */
export const maximumReporterBps = 1_000n;

/** What an offence takes of a bond, rounded up: as `WorkerBonds.seize` counts. Throws RangeError for a part out of the offence's bounds. */
export function slashAmount(offence: Offence, atStake: bigint, bps: bigint = slashTable[offence].bps): bigint {
  const { minimumBps, maximumBps } = slashTable[offence];
  assertWithin(`a part for ${offence}`, bps, minimumBps, maximumBps);
  return partUp(atStake, bps);
}

/** A settled case by who gets it: the reporter's part rounded down, the treasury the rest. Throws RangeError. */
export function splitSlash(
  amount: bigint,
  reporterBps: bigint,
): { readonly reporter: bigint; readonly treasury: bigint } {
  assertWithin('a reporter’s part', reporterBps, 0n, maximumReporterBps);
  const reporter = partDown(amount, reporterBps);
  return { reporter, treasury: amount - reporter };
}

/** What lies in a pool, by who loses it first. */
export type SlashableStake = {
  readonly ownStaked: bigint;
  readonly ownLeaving: bigint;
  /** All that is staked but the operator's own. */
  readonly staked: bigint;
  /** What others have asked back and not claimed. */
  readonly leaving: bigint;
};

/**
 * Who bears a slash, as `StakePools.seize` takes it: the operator's own stake, then what it asked back, then all others alike, staked
 * (rounded down) or leaving. Never more than there is.
 */
export function bearersOf(amount: bigint, stake: SlashableStake): SlashableStake {
  const ownStaked = least(amount, stake.ownStaked);
  const ownLeaving = least(amount - ownStaked, stake.ownLeaving);
  const others = stake.staked + stake.leaving;
  const left = least(amount - ownStaked - ownLeaving, others);
  const staked = others === 0n ? 0n : (left * stake.staked) / others;
  return { ownStaked, ownLeaving, staked, leaving: left - staked };
}

function least(left: bigint, right: bigint): bigint {
  return left < right ? left : right;
}
