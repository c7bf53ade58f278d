import { assertWithin, partDown } from './shares.ts';

/** Parts of each fee, in ten-thousandths; what is left is the operator's. */
export type FeeShares = {
  readonly gatewayBps: bigint;
  readonly gatekeepersBps: bigint;
  readonly treasuryBps: bigint;
};

/** The most that each part may be (`FeeLedger`). */
export const maximumFeeShares: FeeShares = { gatewayBps: 2_000n, gatekeepersBps: 1_000n, treasuryBps: 1_000n };

/** The parts in force, as docs/economics.md chooses them. */
export const defaultFeeShares: FeeShares = { gatewayBps: 1_000n, gatekeepersBps: 300n, treasuryBps: 500n };

export type SplitFees = {
  readonly operator: bigint;
  readonly gateway: bigint;
  readonly gatekeepers: bigint;
  readonly treasury: bigint;
};

/** Fees by who gets them, as `FeeLedger.distribute` splits them: each part rounded down, the operator has the rest. Throws RangeError. */
export function splitFees(amount: bigint, shares: FeeShares, hasGateway: boolean): SplitFees {
  for (const part of ['gatewayBps', 'gatekeepersBps', 'treasuryBps'] as const)
    assertWithin(part, shares[part], 0n, maximumFeeShares[part]);
  const gateway = hasGateway ? partDown(amount, shares.gatewayBps) : 0n;
  const gatekeepers = partDown(amount, shares.gatekeepersBps);
  const treasury = partDown(amount, shares.treasuryBps);
  return { operator: amount - gateway - gatekeepers - treasury, gateway, gatekeepers, treasury };
}
