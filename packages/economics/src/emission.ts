/** One PHA in its smallest unit. */
export const pha = 10n ** 18n;

/** Seconds for which a rate holds: 180 days. */
export const emissionPeriodSeconds = 180n * 86_400n;

/** What the first period brings: 720,000 PHA a day. */
export const firstPeriodEmission = 720_000n * 180n * pha;

/** What a period brings: three quarters of the one before, rounded down each time, so that it ends by itself. */
export function emissionOfPeriod(period: bigint): bigint {
  let ofPeriod = firstPeriodEmission;
  for (let number = 0n; number < period && ofPeriod > 0n; number += 1n) ofPeriod = (ofPeriod * 3n) / 4n;
  return ofPeriod;
}

/** All that the schedule brings in its first `seconds`, rounded down. Of two moments the difference is what lies between: no rounding is counted twice. */
export function emittedAfter(seconds: bigint): bigint {
  if (seconds < 0n) throw new RangeError(`Expected no negative time, got "${seconds}"`);
  let [left, emitted, ofPeriod] = [seconds, 0n, firstPeriodEmission];
  for (; left >= emissionPeriodSeconds && ofPeriod > 0n; left -= emissionPeriodSeconds) {
    emitted += ofPeriod;
    ofPeriod = (ofPeriod * 3n) / 4n;
  }
  return ofPeriod === 0n ? emitted : emitted + (ofPeriod * left) / emissionPeriodSeconds;
}

/** All that the schedule ever brings, by the sum of its whole periods: a little below 518.4 million PHA. */
export function emissionTotal(): bigint {
  let total = 0n;
  for (let ofPeriod = firstPeriodEmission; ofPeriod > 0n; ofPeriod = (ofPeriod * 3n) / 4n) total += ofPeriod;
  return total;
}

/**
 * What an epoch may bring: of its own time, and of the time of the epoch before where that one has no record. Time that was missed
 * before that is never made up for. An epoch's interval and that of any other with a record have nothing in common.
 * @param epochLength seconds
 */
export function epochEmission(epoch: bigint, epochLength: bigint, hasRecordBefore: boolean): bigint {
  const from = hasRecordBefore || epoch === 0n ? epoch : epoch - 1n;
  return emittedAfter((epoch + 1n) * epochLength) - emittedAfter(from * epochLength);
}

/** Parts of an epoch's emission, in ten-thousandths. */
export type EmissionShares = { readonly treasuryBps: bigint; readonly gatekeepersBps: bigint };

/** The parts in force, as docs/economics.md chooses them; the contract allows 30 % and 10 %. */
export const defaultEmissionShares: EmissionShares = { treasuryBps: 1_500n, gatekeepersBps: 500n };

/** An epoch's emission by who gets it. Treasury and gatekeepers are rounded down; what is left is the most that workers may get. */
export function splitEmission(
  emission: bigint,
  { treasuryBps, gatekeepersBps }: EmissionShares,
): { readonly treasury: bigint; readonly gatekeepers: bigint; readonly workers: bigint } {
  if (treasuryBps < 0n || gatekeepersBps < 0n || treasuryBps + gatekeepersBps > 10_000n)
    throw new RangeError(`Expected shares of at most 10000 together, got "${treasuryBps}" and "${gatekeepersBps}"`);
  const [treasury, gatekeepers] = [(emission * treasuryBps) / 10_000n, (emission * gatekeepersBps) / 10_000n];
  return { treasury, gatekeepers, workers: emission - treasury - gatekeepers };
}
