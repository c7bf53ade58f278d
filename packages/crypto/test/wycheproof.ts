import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const folder = process.env.CLOISTER_FIXTURES ?? fileURLToPath(new URL('../../../../shared/fixtures', import.meta.url));

export type WycheproofCase = {
  readonly tcId: number;
  readonly comment: string;
  readonly flags: readonly string[];
  readonly result: 'valid' | 'invalid' | 'acceptable';
};
export type WycheproofFile<Group, Case> = {
  readonly numberOfTests: number;
  readonly testGroups: readonly (Group & { readonly tests: readonly (WycheproofCase & Case)[] })[];
};

/** Whether the fixtures are there; they are not part of the project. */
export const haveFixtures = existsSync(`${folder}/wycheproof`);

/** One fixture file: `x25519_test`, for example. */
export function readWycheproof<Group, Case>(name: string): WycheproofFile<Group, Case> {
  return JSON.parse(readFileSync(`${folder}/wycheproof/${name}.json`, 'utf8')) as WycheproofFile<Group, Case>;
}
