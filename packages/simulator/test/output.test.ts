import {
  attacksOf,
  type Chart,
  charts,
  curveByDay,
  emissionEndsOn,
  keyFiguresOf,
  type Measure,
  measures,
  type Row,
  readScenario,
  seededRandom,
  shortNumber,
  simulate,
  sweep,
  toBraille,
  toCsv,
  toSvg,
  toSweepCsv,
  toSweepSvg,
} from '@cloister/simulator';
import { describe, expect, test } from 'vitest';

const small = {
  name: 'small <&"',
  epochs: 24 * 90,
  operators: [{ behaviour: 'honest', count: 3, ownPha: 100_000 }],
  delegators: [{ pha: 1_000_000 }],
  gateways: [{}],
};
const run = simulate(readScenario(small));

describe('what is written', () => {
  test('CSV has a line for each step and a column for each measure', () => {
    const lines = toCsv(run.rows).trimEnd().split('\n');
    expect(lines).toHaveLength(91);
    expect(lines[0]?.split(',')).toEqual(Object.keys(measures));
    expect(lines[90]?.split(',')[0]).toBe('90');
    expect(lines[90]?.split(',')).not.toContain('NaN');
  });

  test('SVG holds a line for each measure, and no markup of the scenario’s', () => {
    for (const chart of charts) {
      const svg = toSvg(chart, run.rows, 'small <script>&"');
      expect(svg.match(/fill="none"/g)).toHaveLength(chart.lines.length);
      expect(svg).toContain('small &lt;script&gt;&amp;&quot;');
      expect(svg).not.toMatch(/NaN|Infinity|undefined/);
      expect(svg.length).toBeLessThan(40_000);
    }
  });

  test('a plot for the terminal shows where a line lies', () => {
    const chart: Chart = { id: 'x', title: 'Price', lines: ['price'], logarithmic: false };
    const rising = [1, 2, 3, 4].map((day) => ({ ...(run.rows[0] as Row), day, price: day }));
    const lines = toBraille(chart, rising).split('\n');
    expect(lines).toHaveLength(10);
    expect(lines[1]?.trimStart().startsWith('4 ┤')).toBe(true);
    expect(lines[1]?.trimEnd().endsWith(String.fromCodePoint(0x2808))).toBe(true);
    expect(lines.at(-1)).toContain('at the end: price 4');
    expect(toBraille(chart, [])).toBe('Price');
  });

  test('numbers are short', () => {
    expect([0, 1.2345, 12_345, 2.5e6, 9.5e8, 3e9].map(shortNumber)).toEqual([
      '0',
      '1.23',
      '12.3 k',
      '2.5 M',
      '950 M',
      '3 G',
    ]);
  });
});

describe('what a run comes to', () => {
  test('has a number for each figure', () => {
    for (const number of Object.values(keyFiguresOf(run))) expect(Number.isFinite(number)).toBe(true);
    expect(() => keyFiguresOf({ ...run, rows: [] })).toThrow(RangeError);
    expect(() => attacksOf({ ...run, rows: [] })).toThrow(RangeError);
  });

  test('emission ends where it never paid again', () => {
    const rows = (incomes: readonly number[]) =>
      incomes.map((emissionIncome, index) => ({
        ...(run.rows[0] as Row),
        day: index + 1,
        cost: 2,
        workers: 1,
        emissionIncome,
      }));
    expect(emissionEndsOn(rows([3, 1, 3, 1, 1]))).toBe(4);
    expect(emissionEndsOn(rows([3, 1, 3]))).toBe(-1);
    expect(emissionEndsOn(rows([1, 1]))).toBe(1);
  });

  test('of attacks that need no victim none pays but a second worker on a machine, and that by fees alone', () => {
    const attacks = attacksOf(run);
    expect(attacks.length).toBeGreaterThan(6);
    for (const { attack, cost, gain } of attacks)
      if (/paying oneself|reporting oneself|downtime/.test(attack)) expect(gain).toBeLessThan(cost);
    const second = attacks.find(({ attack }) => attack.includes('same machine'));
    expect(second?.gain).toBe(run.rows.at(-1)?.feeIncome);
  });

  test('a proven cheat costs more where more of the bond is the operator’s own', () => {
    const costOf = (ownStakeBps: number) =>
      attacksOf(simulate(readScenario({ ...small, parameters: { ownStakeBps } })))[0]?.cost ?? 0;
    expect(costOf(5_000)).toBeGreaterThan(costOf(0));
  });
});

describe('a sweep', () => {
  test('runs once for each value, by a parameter’s name or by the way to a field', () => {
    const byName = sweep(small, 'bondFactorPha', [100, 200]);
    expect(byName.parameter).toBe('parameters.bondFactorPha');
    const [lower, higher] = byName.points;
    expect(higher?.figures.bondWorth).toBeCloseTo(2 * (lower?.figures.bondWorth ?? 0), 3);
    const byWay = sweep(small, 'operators.0.costDollarsPerDay', [1, 5]);
    expect(byWay.points.map(({ figures }) => figures.costAtEnd)).toEqual([1, 5]);
    expect(toSweepCsv(byName).split('\n')).toHaveLength(4);
    expect(toSweepSvg(byName, '<x>').match(/fill="#0b6e99"/g)).toHaveLength(12);
    expect(toSweepSvg(byName, '<x>')).not.toContain('<x>');
  });

  test.each([
    ['nothing', [1], 'SCENARIO_UNKNOWN_FIELD'],
    ['operators.3.workers', [1], 'SCENARIO_UNKNOWN_FIELD'],
    ['operators.x.workers', [1], 'SCENARIO_UNKNOWN_FIELD'],
    ['parameters.__proto__.x', [1], 'SCENARIO_UNKNOWN_FIELD'],
    ['name', [1], 'SCENARIO_WRONG_TYPE'],
    ['ownStakeBps', [5_001], 'SCENARIO_OUT_OF_BOUND'],
    ['ownStakeBps', [], 'SCENARIO_OUT_OF_BOUND'],
    ['ownStakeBps', Array.from({ length: 21 }, () => 1), 'SCENARIO_OUT_OF_BOUND'],
  ])('of %s %j is refused', (parameter, values, code) => {
    expect(() => sweep(small, parameter, values)).toThrow(expect.objectContaining({ code }));
  });
});

describe('what runs rest on', () => {
  test('random numbers are those of xoshiro128**, spread evenly, and the seed’s', () => {
    const random = seededRandom(1);
    const first = [random.next(), random.next()];
    const again = seededRandom(1);
    expect([again.next(), again.next()]).toEqual(first);
    expect(seededRandom(2).next()).not.toBe(first[0]);
    const hits = Array.from({ length: 10_000 }, () => random.chance(2_500)).filter(Boolean).length;
    expect(hits).toBeGreaterThan(2_300);
    expect(hits).toBeLessThan(2_700);
    expect(random.chance(0)).toBe(false);
    expect(random.chance(10_000)).toBe(true);
    expect(new Set(Array.from({ length: 200 }, () => random.below(3)))).toEqual(new Set([0, 1, 2]));
  });

  const at = (curve: object, days: readonly number[]) => {
    const values = curveByDay(readScenario({ market: { price: curve } }).market.price, 400);
    return days.map((day) => Number(values[day]) / 1e6);
  };

  test('paths go as they say', () => {
    expect(at({ path: 'flat', dollars: 2 }, [0, 400])).toEqual([2, 2]);
    expect(at({ path: 'grow', dollars: 1, perDayPpm: 100_000 }, [0, 1, 2])).toEqual([1, 1.1, 1.21]);
    expect(at({ path: 'stall', dollars: 1, perDayPpm: 100_000, untilDay: 2 }, [2, 3, 400])).toEqual([1.21, 1.21, 1.21]);
    expect(at({ path: 'collapse', dollars: 10, atDay: 10, overDays: 10, toBps: 1_000 }, [10, 15, 20, 400])).toEqual([
      10, 5.5, 1, 1,
    ]);
    expect(
      at(
        {
          path: 'points',
          points: [
            [10, 1],
            [20, 2],
          ],
        },
        [0, 10, 15, 20, 400],
      ),
    ).toEqual([1, 1, 1.5, 2, 2]);
  });

  test('growth ends at a trillion dollars', () => {
    expect(at({ path: 'grow', dollars: 1e9, perDayPpm: 100_000 }, [400])).toEqual([1e12]);
  });

  test('every chart shows measures that there are', () => {
    const names = new Set(Object.keys(measures) as Measure[]);
    for (const { lines } of charts) for (const line of lines) expect(names.has(line)).toBe(true);
  });
});
