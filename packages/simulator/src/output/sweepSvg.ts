import type { KeyFigure } from '../keyFigures.ts';
import type { Sweep } from '../sweep.ts';
import { axisOf, shortNumber } from './axis.ts';

const panels: readonly (readonly [figure: KeyFigure, title: string])[] = [
  ['meanWorkers', 'workers on average'],
  ['stakingRatio', 'staked at the end, %'],
  ['stakerYield', 'stakers’ yield, % a year'],
  ['ownLoss', 'least own loss by a cheat, dollars'],
  ['cheats', 'cheats'],
  ['unserved', 'unserved demand, %'],
];
const [panelWidth, panelHeight, across] = [240, 150, 3];

/** A sweep as SVG: six figures, each with a bar for each value of the parameter. */
export function toSweepSvg({ parameter, points }: Sweep, subtitle: string): string {
  const width = panelWidth * across;
  const height = 30 + panelHeight * Math.ceil(panels.length / across);
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="11">`,
    `<title>${parameter}</title>`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    `<text x="8" y="18" font-size="14" font-weight="bold">${parameter}</text>`,
    `<text x="${width - 8}" y="18" text-anchor="end" fill="#777777">${subtitle.replaceAll('&', '&amp;').replaceAll('<', '&lt;')}</text>`,
    ...panels.map(([figure, title], index) => panel(figure, title, index, points)),
    '</svg>',
  ];
  return `${parts.join('\n')}\n`;
}

function panel(figure: KeyFigure, title: string, index: number, points: Sweep['points']): string {
  const left = (index % across) * panelWidth + 10;
  const top = 30 + Math.floor(index / across) * panelHeight;
  const [foot, room] = [top + panelHeight - 24, panelHeight - 66];
  const axis = axisOf(
    points.map(({ figures }) => figures[figure]),
    false,
  );
  const step = (panelWidth - 20) / points.length;
  const bars = points.map(({ value, figures }, at) => {
    const tall = axis.place(figures[figure]) * room;
    const x = left + at * step;
    const middle = (x + step * 0.4).toFixed(1);
    return `<rect x="${x.toFixed(1)}" y="${(foot - tall).toFixed(1)}" width="${(step * 0.8).toFixed(1)}" height="${tall.toFixed(1)}" fill="#0b6e99"/><text x="${middle}" y="${(foot - tall - 3).toFixed(1)}" text-anchor="middle">${shortNumber(figures[figure])}</text><text x="${middle}" y="${foot + 13}" text-anchor="middle" fill="#555555">${shortNumber(value)}</text>`;
  });
  return `<text x="${left}" y="${top + 16}" font-weight="bold">${title}</text>${bars.join('')}`;
}
