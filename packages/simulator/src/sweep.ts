import { type KeyFigure, keyFiguresOf } from './keyFigures.ts';
import { readScenario, ScenarioError } from './scenario/readScenario.ts';
import { scenarioShape } from './scenario/scenario.ts';
import { simulate } from './simulate.ts';

export type SweepPoint = { readonly value: number; readonly figures: Readonly<Record<KeyFigure, number>> };
export type Sweep = { readonly parameter: string; readonly points: readonly SweepPoint[] };

const mostValues = 20;

/**
 * Runs a scenario once for each value of one field.
 * @param scenario as plain data, unchecked
 * @param parameter a field of `parameters`, or the way to any other, such as `operators.0.commissionBps`
 * Throws SCENARIO_UNKNOWN_FIELD, SCENARIO_OUT_OF_BOUND and their like.
 */
export function sweep(scenario: unknown, parameter: string, values: readonly number[]): Sweep {
  if (values.length < 1 || values.length > mostValues)
    throw new ScenarioError('SCENARIO_OUT_OF_BOUND', parameter, `1 to ${mostValues} values`, values.length);
  const path = Object.hasOwn(scenarioShape.parameters.shape, parameter)
    ? ['parameters', parameter]
    : parameter.split('.');
  const points = values.map((value) => ({
    value,
    figures: keyFiguresOf(simulate(readScenario(withValue(scenario, path, value)))),
  }));
  return { parameter: path.join('.'), points };
}

/** A copy in which one field has another value; whether there is such a field, the reader says. */
function withValue(data: unknown, [name, ...rest]: readonly string[], value: number): unknown {
  if (name === undefined) return value;
  const at = (inner: unknown) => withValue(inner, rest, value);
  if (Array.isArray(data)) {
    if (!/^[0-9]{1,3}$/.test(name) || Number(name) >= data.length)
      throw new ScenarioError('SCENARIO_UNKNOWN_FIELD', name, `0 to ${data.length - 1}`, name);
    return data.map((one: unknown, index) => (index === Number(name) ? at(one) : one));
  }
  const fields = typeof data === 'object' && data !== null ? (data as Readonly<Record<string, unknown>>) : {};
  return { ...fields, [name]: at(fields[name]) };
}
