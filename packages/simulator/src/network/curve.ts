import type { Curve } from '../scenario/scenario.ts';
import { microDollarsOf } from '../units.ts';

const million = 1_000_000n;
/** Digits below a millionth of a dollar that growth is carried on with. */
const scale = 10n ** 12n;
/** Growth ends at a trillion dollars, the most that a file may state. */
const most = 10n ** 18n * scale;

/**
 * A path's value on each day from 0 on, in millionths of a dollar: whole numbers throughout, so that it is the same on every machine.
 * Growth is compounded by the day, rounded down; between points, and where it collapses, it goes straight.
 */
export function curveByDay(curve: Curve, days: number): readonly bigint[] {
  if (curve.path === 'points') return Array.from({ length: days + 1 }, (_, day) => between(curve.points, day));
  let value = microDollarsOf(curve.dollars) * scale;
  const grown = (perDayPpm: number) => {
    const next = (value * (million + BigInt(perDayPpm))) / million;
    return next < most ? next : most;
  };
  const values: bigint[] = [];
  let top = value;
  for (let day = 0; day <= days; day += 1) {
    values.push(value / scale);
    if (curve.path === 'grow' || (curve.path === 'stall' && day < curve.untilDay)) value = grown(curve.perDayPpm);
    if (curve.path !== 'collapse') continue;
    if (day < curve.atDay) {
      value = grown(curve.perDayPpm);
      top = value;
    } else {
      const gone = BigInt(Math.min(day + 1 - curve.atDay, curve.overDays));
      value = top - (top * gone * BigInt(10_000 - curve.toBps)) / (BigInt(curve.overDays) * 10_000n);
    }
  }
  return values;
}

function between(points: readonly (readonly [number, number])[], day: number): bigint {
  const after = points.findIndex(([at]) => at > day);
  const [fromDay, from] = points[after === -1 ? points.length - 1 : Math.max(0, after - 1)] ?? [0, 0];
  const [toDay, to] = points[after === -1 ? points.length - 1 : after] ?? [0, 0];
  if (day <= fromDay || toDay <= fromDay) return microDollarsOf(from);
  const [low, high] = [microDollarsOf(from), microDollarsOf(to)];
  return low + ((high - low) * BigInt(day - fromDay)) / BigInt(toDay - fromDay);
}
