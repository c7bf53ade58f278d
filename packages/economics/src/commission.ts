import { assertWithin, partDown } from './shares.ts';

/** Of what comes into a pool, the most that its operator may keep, and the most by which it may raise that at once (`StakePools`). */
export const maximumCommissionBps = 5_000n;
export const maximumCommissionStepBps = 500n;

/** What comes into a pool by who gets it: the operator's commission rounded down, the rest for all who staked, the operator too. Throws RangeError. */
export function splitCommission(
  amount: bigint,
  commissionBps: bigint,
): { readonly commission: bigint; readonly stakers: bigint } {
  assertWithin('a commission', commissionBps, 0n, maximumCommissionBps);
  const commission = partDown(amount, commissionBps);
  return { commission, stakers: amount - commission };
}
