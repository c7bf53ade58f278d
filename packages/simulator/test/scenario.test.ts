import fs from 'node:fs';
import {
  defaultBondRule,
  defaultEmissionShares,
  defaultFeeShares,
  defaultWorthRules,
  slashTable,
} from '@cloister/economics';
import {
  builtInFile,
  builtInNames,
  fieldTable,
  parseScenario,
  readScenario,
  ScenarioError,
  simulate,
} from '@cloister/simulator';
import { describe, expect, test } from 'vitest';
import { rulesOf } from '../src/network/createWorld.ts';

const refusal = (value: unknown) => {
  try {
    simulate(readScenario(value));
  } catch (error) {
    if (error instanceof ScenarioError) return `${error.code} ${error.meta.path}`;
    throw error;
  }
  return 'taken';
};

describe('a scenario file', () => {
  test('may leave everything out', () => {
    const scenario = readScenario({});
    expect(scenario).toMatchObject({
      name: 'unnamed',
      seed: 1,
      operators: [],
      market: { price: { path: 'flat', dollars: 0.1 } },
    });
    expect(readScenario({ operators: [{ behaviour: 'honest' }] }).operators[0]).toMatchObject({
      behaviour: 'honest',
      workers: 10,
    });
  });

  test.each([
    ['not JSON', () => parseScenario('{'), 'SCENARIO_NOT_JSON'],
    ['too long', () => parseScenario(' '.repeat(300_000)), 'SCENARIO_NOT_JSON'],
  ])('%s is refused', (_, read, code) => {
    expect(read).toThrow(expect.objectContaining({ code }));
  });

  test.each([
    ['a field that is not there', { prize: 1 }, 'SCENARIO_UNKNOWN_FIELD prize'],
    ['one inside', { parameters: { k: 1 } }, 'SCENARIO_UNKNOWN_FIELD parameters.k'],
    [
      'one of another behaviour',
      { operators: [{ behaviour: 'honest', outageBps: 1 }] },
      'SCENARIO_UNKNOWN_FIELD operators.0.outageBps',
    ],
    [
      'one of another path',
      { market: { price: { path: 'flat', atDay: 3 } } },
      'SCENARIO_UNKNOWN_FIELD market.price.atDay',
    ],
    ['a name of Object', { constructor: 1 }, 'SCENARIO_UNKNOWN_FIELD constructor'],
    ['a list for an object', { parameters: [] }, 'SCENARIO_WRONG_TYPE parameters'],
    ['an object for a list', { operators: {} }, 'SCENARIO_WRONG_TYPE operators'],
    ['nothing in a list', { operators: [null] }, 'SCENARIO_WRONG_TYPE operators.0.behaviour'],
    ['text for a number', { epochs: '12' }, 'SCENARIO_WRONG_TYPE epochs'],
    ['a fraction for a whole number', { epochs: 1.5 }, 'SCENARIO_WRONG_TYPE epochs'],
    ['a number for text', { name: 1 }, 'SCENARIO_WRONG_TYPE name'],
    ['a behaviour that is none', { operators: [{ behaviour: 'kind' }] }, 'SCENARIO_WRONG_TYPE operators.0.behaviour'],
    ['an operator without behaviour', { operators: [{}] }, 'SCENARIO_WRONG_TYPE operators.0.behaviour'],
    ['a path that is none', { market: { demand: { path: 'constructor' } } }, 'SCENARIO_WRONG_TYPE market.demand.path'],
    ['a number below its bound', { epochs: 0 }, 'SCENARIO_OUT_OF_BOUND epochs'],
    ['one above it', { parameters: { feeGatewayBps: 2_001 } }, 'SCENARIO_OUT_OF_BOUND parameters.feeGatewayBps'],
    ['one that is none', { market: { circulatingPha: Number.NaN } }, 'SCENARIO_OUT_OF_BOUND market.circulatingPha'],
    ['a name that is too long', { name: 'x'.repeat(41) }, 'SCENARIO_OUT_OF_BOUND name'],
    ['too many groups', { gateways: Array.from({ length: 21 }, () => ({})) }, 'SCENARIO_OUT_OF_BOUND gateways'],
    ['no points', { market: { price: { path: 'points', points: [] } } }, 'SCENARIO_OUT_OF_BOUND market.price.points'],
    [
      'points that are none',
      { market: { price: { path: 'points', points: [[1]] } } },
      'SCENARIO_WRONG_TYPE market.price.points.0',
    ],
    [
      'points out of order',
      {
        market: {
          price: {
            path: 'points',
            points: [
              [5, 1],
              [5, 2],
            ],
          },
        },
      },
      'SCENARIO_OUT_OF_BOUND market.price.points.1.0',
    ],
    [
      'agents that hold more than there is',
      { market: { circulatingPha: 10 }, delegators: [{}] },
      'SCENARIO_CONTRADICTION market.circulatingPha',
    ],
    ['more than will ever be issued', { market: { startsAtDay: 36_500 } }, 'taken'],
    [
      'too many agents',
      {
        operators: [
          { behaviour: 'honest', count: 400 },
          { behaviour: 'honest', count: 400 },
          { behaviour: 'honest', count: 400 },
        ],
      },
      'SCENARIO_CONTRADICTION operators',
    ],
  ])('with %s', (_, value, said) => {
    expect(refusal({ epochs: 24, ...value })).toBe(said);
  });

  test('is by default as the rules in force', () => {
    const rules = rulesOf(readScenario({}));
    expect(rules).toMatchObject({
      bond: defaultBondRule,
      worth: defaultWorthRules,
      fees: defaultFeeShares,
      emission: defaultEmissionShares,
    });
    for (const offence of ['equivocation', 'wrongResult', 'downtime'] as const)
      expect(rules.slashBps[offence]).toBe(slashTable[offence].bps);
  });

  test('README.md has every field', () => {
    const readme = fs.readFileSync(new URL('../README.md', import.meta.url), 'utf8');
    expect(readme).toContain(`<!-- fields -->\n${fieldTable()}\n<!-- /fields -->`);
  });
});

describe('built-in scenarios', () => {
  test.each(builtInNames())('%s is named so, says what it is about, and runs', (name) => {
    const scenario = parseScenario(builtInFile(name));
    expect(scenario.name).toBe(name);
    expect(scenario.about.length).toBeGreaterThan(20);
    const { rows } = simulate({ ...scenario, epochs: 24 * 60 });
    expect(rows).toHaveLength(60);
    expect(rows.at(-1)?.workers).toBeGreaterThan(0);
  });

  test('no other file is read for a name', () => {
    for (const name of ['nowhere', '../scenarios/baseline', 'baseline.json', ''])
      expect(() => builtInFile(name)).toThrow(expect.objectContaining({ code: 'SCENARIO_UNKNOWN' }));
  });
});
