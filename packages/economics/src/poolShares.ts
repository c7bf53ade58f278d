import { ceilDiv } from './shares.ts';

/** PHA that belongs to the holders of shares in proportion: assets in its smallest unit, at par a million shares for each. */
export type ShareLedger = { readonly assets: bigint; readonly shares: bigint };

export const emptyShareLedger: ShareLedger = { assets: 0n, shares: 0n };

const virtualShares = 1_000_000n;
const worthlessBelow = 1_000_000_000_000n;

/** As in `ShareMath`: a million virtual shares and one virtual unit stand in every ratio. */
export function toSharesDown({ assets, shares }: ShareLedger, amount: bigint): bigint {
  return (amount * (shares + virtualShares)) / (assets + 1n);
}

/** The shares that so much costs, rounded up. */
export function toSharesUp({ assets, shares }: ShareLedger, amount: bigint): bigint {
  return ceilDiv(amount * (shares + virtualShares), assets + 1n);
}

/** What so many shares are worth, rounded down. */
export function toAssetsDown({ assets, shares }: ShareLedger, held: bigint): bigint {
  return (held * (assets + 1n)) / (shares + virtualShares);
}

/** What so many shares are worth, rounded up. */
export function toAssetsUp({ assets, shares }: ShareLedger, held: bigint): bigint {
  return ceilDiv(held * (assets + 1n), shares + virtualShares);
}

/** Whether slashes took all but a millionth: such a pool takes nothing more in. */
export function isWorthless({ assets, shares }: ShareLedger): boolean {
  return (assets + 1n) * worthlessBelow < shares + virtualShares;
}
