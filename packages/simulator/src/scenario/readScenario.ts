import { CloisterError } from '@cloister/core';
import type { Field, NumberField, PointsField, Shape } from './fields.ts';
import { type Scenario, scenarioShape } from './scenario.ts';

const longestFile = 256 * 1024;

/** A scenario from the text of its file. Throws SCENARIO_NOT_JSON, SCENARIO_UNKNOWN_FIELD, SCENARIO_WRONG_TYPE, SCENARIO_OUT_OF_BOUND. */
export function parseScenario(file: string): Scenario {
  return readScenario(parseScenarioJson(file));
}

/** The file as JSON, unchecked. Throws SCENARIO_NOT_JSON. */
export function parseScenarioJson(file: string): unknown {
  if (file.length > longestFile)
    throw new ScenarioError('SCENARIO_NOT_JSON', '', `at most ${longestFile} characters`, file.length);
  try {
    return JSON.parse(file);
  } catch (cause) {
    throw new ScenarioError('SCENARIO_NOT_JSON', '', 'JSON', cause instanceof Error ? cause.message : cause);
  }
}

/** A scenario from plain data; what it leaves out is as in {@link scenarioShape}. Throws as {@link parseScenario}. */
export function readScenario(value: unknown): Scenario {
  // The one cast: the shape is what the type is made of.
  return readObject(scenarioShape, value, '') as Scenario;
}

function readObject(shape: Shape, value: unknown, path: string, tag?: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrongType(path, 'an object', value);
  const given = value as Readonly<Record<string, unknown>>;
  for (const name of Object.keys(given))
    if (name !== tag && !Object.hasOwn(shape, name))
      throw new ScenarioError(
        'SCENARIO_UNKNOWN_FIELD',
        join(path, name),
        `one of ${Object.keys(shape).join(', ')}`,
        name,
      );
  return Object.fromEntries(
    Object.entries(shape).map(([name, field]) => [
      name,
      readField(field, Object.hasOwn(given, name) ? given[name] : undefined, join(path, name)),
    ]),
  );
}

function readField(field: Field, value: unknown, path: string): unknown {
  switch (field.kind) {
    case 'number':
      return value === undefined ? field.value : readNumber(field, value, path);
    case 'text':
      if (value === undefined) return field.value;
      if (typeof value !== 'string') throw wrongType(path, 'text', value);
      if (value.length > field.longest) throw outOfBound(path, `at most ${field.longest} characters`, value.length);
      return value;
    case 'object':
      return readObject(field.shape, value ?? {}, path);
    case 'union': {
      const given = value === undefined ? { [field.tag]: field.first } : value;
      const chosen: unknown =
        typeof given === 'object' && given !== null ? (given as Record<string, unknown>)[field.tag] : undefined;
      const names = Object.keys(field.shapes);
      if (typeof chosen !== 'string' || !names.includes(chosen))
        throw wrongType(join(path, field.tag), names.map((name) => `"${name}"`).join(' or '), chosen);
      return { [field.tag]: chosen, ...readObject(field.shapes[chosen] ?? {}, given, path, field.tag) };
    }
    case 'list': {
      if (value === undefined) return [];
      if (!Array.isArray(value)) throw wrongType(path, 'a list', value);
      if (value.length > field.longest) throw outOfBound(path, `at most ${field.longest} of them`, value.length);
      return value.map((one: unknown, index) => readField(field.of, one ?? null, join(path, String(index))));
    }
    case 'points':
      return readPoints(field, value, path);
  }
}

function readNumber({ minimum, maximum, whole }: NumberField, value: unknown, path: string): number {
  if (typeof value !== 'number') throw wrongType(path, whole ? 'a whole number' : 'a number', value);
  if (whole && !Number.isInteger(value)) throw wrongType(path, 'a whole number', value);
  if (!(value >= minimum && value <= maximum)) throw outOfBound(path, `${minimum} to ${maximum}`, value);
  return value;
}

function readPoints(
  { minimum, maximum }: PointsField,
  value: unknown,
  path: string,
): readonly (readonly [number, number])[] {
  if (!Array.isArray(value)) throw wrongType(path, 'a list of [day, dollars]', value);
  if (value.length < 1 || value.length > 1_000) throw outOfBound(path, '1 to 1000 points', value.length);
  let last = -1;
  return value.map((point: unknown, index) => {
    const at = join(path, String(index));
    if (!Array.isArray(point) || point.length !== 2) throw wrongType(at, '[day, dollars]', point);
    const day = readNumber(
      { kind: 'number', value: 0, minimum: 0, maximum: 36_500, whole: true, about: '' },
      point[0],
      join(at, '0'),
    );
    if (day <= last) throw outOfBound(join(at, '0'), `a day after ${last}`, day);
    last = day;
    return [
      day,
      readNumber({ kind: 'number', value: 0, minimum, maximum, whole: false, about: '' }, point[1], join(at, '1')),
    ];
  });
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}

function wrongType(path: string, expected: string, value: unknown): ScenarioError {
  return new ScenarioError('SCENARIO_WRONG_TYPE', path, expected, value);
}

function outOfBound(path: string, expected: string, value: unknown): ScenarioError {
  return new ScenarioError('SCENARIO_OUT_OF_BOUND', path, expected, value);
}

export class ScenarioError extends CloisterError<
  | 'SCENARIO_NOT_JSON'
  | 'SCENARIO_UNKNOWN_FIELD'
  | 'SCENARIO_WRONG_TYPE'
  | 'SCENARIO_OUT_OF_BOUND'
  | 'SCENARIO_CONTRADICTION'
> {
  override readonly name = 'ScenarioError';
  constructor(code: ScenarioError['code'], path: string, expected: string, value: unknown) {
    const shown = (typeof value === 'string' ? value : (JSON.stringify(value) ?? 'nothing')).slice(0, 80);
    super({
      code,
      message: `Expected ${path === '' ? 'the scenario' : `"${path}"`} to be ${expected}, got "${shown}"`,
      meta: { path },
      hint: 'packages/simulator/README.md lists every field with its bounds and default',
    });
  }
}
