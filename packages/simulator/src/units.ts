/** Dollars are counted in millionths, PHA in its smallest unit; numbers with fractions only decide, and are shown. */
export const phaUnit = 10n ** 18n;
const micro = 1_000_000;

/** An amount of PHA as a file states it, to the millionth. */
export function phaOf(amount: number): bigint {
  return BigInt(Math.round(amount * micro)) * 10n ** 12n;
}

/** Dollars as a file states them, in millionths. */
export function microDollarsOf(dollars: number): bigint {
  return BigInt(Math.round(dollars * micro));
}

/** What so many dollars buy, rounded down. Prices in millionths of a dollar for one PHA, at least 1. */
export function phaForDown(microDollars: bigint, price: bigint): bigint {
  return (microDollars * phaUnit) / price;
}

/** What must be sold for so many dollars, rounded up. */
export function phaForUp(microDollars: bigint, price: bigint): bigint {
  return (microDollars * phaUnit + price - 1n) / price;
}

/** PHA to decide by, and to show. */
export function phaNumber(amount: bigint): number {
  return Number(amount) / 1e18;
}

/** Dollars to decide by, and to show. */
export function dollarsNumber(microDollars: bigint): number {
  return Number(microDollars) / micro;
}

/** What PHA is worth in dollars, to decide by, and to show. */
export function worthNumber(amount: bigint, price: bigint): number {
  return phaNumber(amount) * dollarsNumber(price);
}
