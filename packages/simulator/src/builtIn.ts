import fs from 'node:fs';
import { CloisterError } from '@cloister/core';

const folder = new URL('./scenarios/', import.meta.url);

/** The scenarios that come along, by name. */
export function builtInNames(): readonly string[] {
  return fs
    .readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .map((name) => name.slice(0, -'.json'.length))
    .sort();
}

/** A built-in scenario's file. Throws SCENARIO_UNKNOWN. */
export function builtInFile(name: string): string {
  if (!builtInNames().includes(name)) throw new ScenarioUnknownError(name);
  return fs.readFileSync(new URL(`${name}.json`, folder), 'utf8');
}

export class ScenarioUnknownError extends CloisterError<'SCENARIO_UNKNOWN'> {
  override readonly name = 'ScenarioUnknownError';
  constructor(name: string) {
    super({
      code: 'SCENARIO_UNKNOWN',
      message: `There is no scenario "${name.slice(0, 80)}", neither built in nor as a file`,
      meta: { name },
      hint: 'cloister simulate --list lists the built-in ones',
    });
  }
}
