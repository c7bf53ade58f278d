// docs/dependencies.md says of every dependency what is true, and why it is there.
import fs from 'node:fs';
import { describe, expect, test } from 'vitest';
import { dependencyReasons } from '../scripts/lib/dependencyReasons.ts';
import { readDependencies } from '../scripts/lib/dependencyTable.ts';
import { inRoot } from '../scripts/lib/paths.ts';

const page = fs.readFileSync(inRoot('docs/dependencies.md'), 'utf8');
const groups = readDependencies();

describe.each(groups.map((group) => [group.title, group] as const))('%s', (title, { dependencies }) => {
  test('stands on the page, nothing else with it', () => {
    const from = page.indexOf(`### ${title}`);
    const end = page.indexOf('\n### ', from + 1);
    const section = page.slice(from, end === -1 ? undefined : end);
    const named = [...section.matchAll(/^\| `([^`]+)` (\S+) \| ([^|]+) \|/gm)].map(
      ([, name, version, licence]) => `${name} ${version} ${licence}`,
    );
    expect(named).toEqual(dependencies.map(({ name, version, licence }) => `${name} ${version} ${licence}`));
  });
});

test('every dependency has its reason, and no reason is left over', () => {
  const names = new Set(groups.flatMap(({ dependencies }) => dependencies.map(({ name }) => name)));
  expect([...names].filter((name) => dependencyReasons[name] === undefined)).toEqual([]);
  expect(Object.keys(dependencyReasons).filter((name) => !names.has(name))).toEqual([]);
});

/** MPL-2.0 asks that changes to its own files be published: these are used as they are, and their sources are on npm. */
const unmodified = new Set(['@ethereumjs/evm', '@ethereumjs/util']);

test('what runs is under a licence that asks for no more than its notice', () => {
  const wrong = groups
    .flatMap(({ dependencies }) => dependencies)
    .filter(
      ({ use, name, licence }) =>
        use === 'run' &&
        !(licence === 'MPL-2.0' && unmodified.has(name)) &&
        !/^(MIT|Apache-2\.0|ISC|BSD-[23]-Clause|0BSD|MIT OR Apache-2\.0)$/.test(licence),
    );
  expect(wrong).toEqual([]);
});
