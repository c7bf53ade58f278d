import type { Row } from '../measure.ts';
import { axisOf, shortNumber } from './axis.ts';
import { type Chart, labelOf, pointsOf } from './charts.ts';

const [columns, lines] = [60, 8];
/** The dots of a braille character by row and column (Unicode 2800). */
const dots = [
  [0x01, 0x08],
  [0x02, 0x10],
  [0x04, 0x20],
  [0x40, 0x80],
] as const;

/** A chart for the terminal: its first line's dots, and of all lines where they ended. */
export function toBraille(chart: Chart, rows: readonly Row[]): string {
  const [first] = chart.lines;
  if (first === undefined || rows.length === 0) return chart.title;
  const all = chart.lines.map((line) => pointsOf(rows, line, columns * 2));
  const axis = axisOf(
    all.flatMap((points) => points.map(({ y }) => y)),
    chart.logarithmic,
  );
  const days = rows.at(-1)?.day ?? 1;
  const cells = Array.from({ length: lines }, () => Array.from({ length: columns }, () => 0));
  for (const points of all)
    for (const { x, y } of points) {
      const across = Math.min(columns * 2 - 1, Math.floor((x / days) * columns * 2));
      const down = Math.min(lines * 4 - 1, Math.floor((1 - axis.place(y)) * (lines * 4 - 1) + 0.5));
      const row = cells[Math.floor(down / 4)];
      const column = Math.floor(across / 2);
      if (row !== undefined) row[column] = (row[column] ?? 0) | (dots[down % 4]?.[across % 2] ?? 0);
    }
  const top = shortNumber(axis.ticks.at(-1) ?? 0);
  const foot = shortNumber(axis.ticks[0] ?? 0);
  const body = cells.map((row, index) => {
    const label = index === 0 ? top : index === lines - 1 ? foot : '';
    return `${label.padStart(8)} ┤${row.map((bits) => String.fromCodePoint(0x2800 + bits)).join('')}`;
  });
  const ends = chart.lines.map((line) => `${labelOf(line)} ${shortNumber(rows.at(-1)?.[line] ?? 0)}`).join(' · ');
  return [`${chart.title}`, ...body, `${' '.repeat(10)}day 0 to ${shortNumber(days)}; at the end: ${ends}`].join('\n');
}
