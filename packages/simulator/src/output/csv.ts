import { type KeyFigure, keyFigures } from '../keyFigures.ts';
import { type Measure, measures, type Row } from '../measure.ts';
import type { Sweep } from '../sweep.ts';

/** The rows as CSV, a header first; numbers with at most nine digits that count. */
export function toCsv(rows: readonly Row[]): string {
  const names = Object.keys(measures) as Measure[];
  const lines = rows.map((row) => names.map((name) => shortNumber(row[name])).join(','));
  return `${[names.join(','), ...lines].join('\n')}\n`;
}

/** A sweep as CSV: a line for each value. */
export function toSweepCsv({ parameter, points }: Sweep): string {
  const names = Object.keys(keyFigures) as KeyFigure[];
  const lines = points.map(({ value, figures }) =>
    [value, ...names.map((name) => shortNumber(figures[name]))].join(','),
  );
  return `${[[parameter, ...names].join(','), ...lines].join('\n')}\n`;
}

function shortNumber(value: number): string {
  return String(Number(value.toPrecision(9)));
}
