import type { Row } from '../measure.ts';
import { axisOf, shortNumber } from './axis.ts';
import { type Chart, labelOf, pointsOf } from './charts.ts';

const [width, height] = [720, 320];
const box = { left: 64, right: 16, top: 52, bottom: 36 };
const colours = ['#0b6e99', '#d9730d', '#448361', '#9065b0'];
const mostPoints = 240;

/** A chart as SVG: lines over days, nothing but shapes and text in it. The same rows give the same bytes. */
export function toSvg(chart: Chart, rows: readonly Row[], subtitle: string): string {
  const lines = chart.lines.map((line) => pointsOf(rows, line, mostPoints));
  const y = axisOf(
    lines.flatMap((points) => points.map((point) => point.y)),
    chart.logarithmic,
  );
  const days = rows.at(-1)?.day ?? 1;
  const x = axisOf([days], false);
  const across = (share: number) => (box.left + share * (width - box.left - box.right)).toFixed(1);
  const up = (share: number) => (height - box.bottom - share * (height - box.top - box.bottom)).toFixed(1);
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">`,
    `<title>${escaped(chart.title)}</title>`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    `<text x="${box.left}" y="18" font-size="14" font-weight="bold">${escaped(chart.title)}</text>`,
    `<text x="${width - box.right}" y="18" text-anchor="end" fill="#777777">${escaped(subtitle)}</text>`,
    ...y.ticks.map(
      (tick) =>
        `<path d="M${box.left} ${up(y.place(tick))}H${width - box.right}" stroke="#e5e5e5"/><text x="${box.left - 6}" y="${up(y.place(tick))}" dy="4" text-anchor="end" fill="#555555">${shortNumber(tick)}</text>`,
    ),
    ...x.ticks.map(
      (tick) =>
        `<text x="${across(x.place(tick))}" y="${height - box.bottom + 18}" text-anchor="middle" fill="#555555">${tick === 0 ? 'day 0' : shortNumber(tick)}</text>`,
    ),
    ...lines.map((points, index) => {
      const path = points.map(
        (point, at) => `${at === 0 ? 'M' : 'L'}${across(x.place(point.x))} ${up(y.place(point.y))}`,
      );
      return `<path d="${path.join('')}" fill="none" stroke="${colours[index % colours.length]}" stroke-width="2"/>`;
    }),
    ...chart.lines.map((line, index) => {
      const at = box.left + index * 160;
      return `<rect x="${at}" y="29" width="10" height="10" fill="${colours[index % colours.length]}"/><text x="${at + 14}" y="38" font-size="11">${escaped(labelOf(line))}</text>`;
    }),
    '</svg>',
  ];
  return `${parts.join('\n')}\n`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
