// docs/economics.md shows what the simulator gives now.
import fs from 'node:fs';
import { builtInFile, charts, keyFiguresOf, parseScenario, simulate, toSvg } from '@cloister/simulator';
import { describe, expect, test } from 'vitest';

const read = (file: string) => fs.readFileSync(new URL(`../../../docs/${file}`, import.meta.url), 'utf8');
const page = read('economics.md');
const run = simulate(parseScenario(builtInFile('baseline')));

describe('docs/economics.md', () => {
  test('shows the baseline as it is', () => {
    const shown = charts.filter(({ id }) => page.includes(`economics/baseline-${id}.svg`));
    expect(shown.map(({ id }) => id)).toEqual(['workers', 'income', 'break-even']);
    for (const chart of shown)
      expect(
        read(`economics/baseline-${chart.id}.svg`),
        'cloister simulate baseline --out docs/economics draws it anew',
      ).toBe(toSvg(chart, run.rows, 'baseline, seed 1'));
  });

  test('says what the baseline comes to', () => {
    const figures = keyFiguresOf(run);
    expect(page).toContain(
      `| **200** | ${Math.round(figures.meanWorkers).toLocaleString('en')} | ${figures.stakingRatio.toFixed(1)} % |`,
    );
    expect(page).toContain(`**day ${figures.emissionEndsOnDay.toLocaleString('en')}**`);
    expect(page).toContain(`the last ${figures.workersAtEnd.toLocaleString('en')} workers`);
  });

  test('every picture is there, and no other', () => {
    const named = [...page.matchAll(/\]\(economics\/([\w.-]+\.svg)\)/g)].map(([, name]) => name).sort();
    const there = fs.readdirSync(new URL('../../../docs/economics/', import.meta.url)).sort();
    expect(there).toEqual(named);
  });
});
