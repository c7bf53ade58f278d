/** All of something, in the ten-thousandths that parts are given in. */
export const wholeBps = 10_000n;

/** A part of an amount, rounded down. */
export function partDown(amount: bigint, bps: bigint): bigint {
  return (amount * bps) / wholeBps;
}

/** A part of an amount, rounded up. */
export function partUp(amount: bigint, bps: bigint): bigint {
  return ceilDiv(amount * bps, wholeBps);
}

/** The quotient of numbers that are not negative, rounded up. */
export function ceilDiv(dividend: bigint, divisor: bigint): bigint {
  return (dividend + divisor - 1n) / divisor;
}

/** Throws RangeError where a number lies outside its bounds. */
export function assertWithin(what: string, value: bigint, minimum: bigint, maximum: bigint): void {
  if (value < minimum || value > maximum)
    throw new RangeError(`Expected ${what} of "${minimum}" to "${maximum}", got "${value}"`);
}
