import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Real evidence lies outside the project: beside the repository, or where CLOISTER_FIXTURES says. */
const root = process.env.CLOISTER_FIXTURES ?? join(import.meta.dirname, '../../../../shared/fixtures');

export const hasFixtures = existsSync(join(root, 'expected.json'));
if (!hasFixtures) console.log(`Skipped: real evidence is not at "${root}" (set CLOISTER_FIXTURES)`);

export function fixture(path: string): Uint8Array {
  return Uint8Array.from(readFileSync(join(root, path)));
}

export function fixtureJson<Value>(path: string): Value {
  return JSON.parse(readFileSync(join(root, path), 'utf8')) as Value;
}

/** Whether one file is there: not all folders of fixtures have all. Says so where it is not. */
export function hasFixture(path: string): boolean {
  const found = existsSync(join(root, path));
  if (!found) console.log(`Skipped: no "${path}" in "${root}" (CLOISTER_FIXTURES names the folder)`);
  return found;
}
