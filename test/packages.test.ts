// Every package.json says what is true of its package.
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { inRoot, root } from '../scripts/lib/paths.ts';
import { type PackageJson, readPackageJson, readWorkspaces, targetsOf } from '../scripts/lib/workspaces.ts';
import { dependencyProblems } from './support/dependencyProblems.ts';
import { type ImportGraph, readImportGraph } from './support/importGraph.ts';

const rootJson = readPackageJson(inRoot('package.json'));
const workspaces = readWorkspaces();
const graph = readImportGraph(root, ['packages', 'apps']);

/** What tests of one package need in an older version, because the client that they try unmodified has it as a peer. Never what runs. */
const peersOfClients: Readonly<Record<string, readonly string[]>> = {
  'packages/guest': ['@noble/curves', '@noble/hashes'],
};

describe.each(workspaces.map((workspace) => [workspace.path, workspace] as const))('%s', (at, { json, folder }) => {
  test('is named for its folder, and has the version, licence and form of all', () => {
    expect(json).toMatchObject({
      name: `@cloister/${path.basename(folder)}`,
      version: rootJson.version,
      license: rootJson.license,
      type: 'module',
      sideEffects: false,
    });
    expect(json.description).toMatch(/^\S.*\.$/);
  });

  test('exports, imports and bin lead to files', () => {
    const targets = [
      ...Object.values(json.exports ?? {}),
      ...Object.values(json.imports ?? {}),
      ...Object.values(json.bin ?? {}),
    ]
      .flatMap((target) => targetsOf(target))
      .filter(({ file }) => !fs.existsSync(path.join(folder, file)));
    expect(targets).toEqual([]);
  });

  test('pins every dependency to one exact version, the same as everywhere', () => {
    const wrong = Object.entries({
      ...json.dependencies,
      ...ownDevDependencies(at, json),
      ...json.optionalDependencies,
    }).filter(([name, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version) || versionsOf(name).size > 1);
    expect(wrong).toEqual([]);
  });

  test('declares what it imports, and nothing else', () => {
    expect(dependencyProblems(graph, at, json, rootJson)).toEqual([]);
  });
});

/** Development dependencies without the peers of clients under test. */
function ownDevDependencies(at: string, { devDependencies = {} }: PackageJson): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(devDependencies).filter(([name]) => !peersOfClients[at]?.includes(name)));
}

/** Every version of a package that the repository's own package.json files name. */
function versionsOf(name: string): ReadonlySet<string> {
  const own = workspaces.find(({ json }) => json.name === name)?.json.version;
  const all = [{ path: '.', json: rootJson }, ...workspaces];
  const named = all.flatMap(({ path: at, json }) => [
    json.dependencies?.[name],
    ownDevDependencies(at, json)[name],
    json.optionalDependencies?.[name],
  ]);
  return new Set([own, ...named].filter((version) => version !== undefined));
}

describe('dependencyProblems', () => {
  const json = (over: Partial<PackageJson>): PackageJson => ({ name: '@x/a', version: '1.0.0', ...over });
  const graphOf = (sources: Readonly<Record<string, readonly string[]>>): ImportGraph => ({
    workspaces: [],
    files: new Map(
      Object.entries(sources).map(([file, specifiers]) => [
        file,
        {
          path: file,
          computedImports: [],
          environmentReads: [],
          imports: specifiers.map((specifier) => ({ specifier, how: 'import', typeOnly: false, line: 1, targets: [] })),
        },
      ]),
    ),
  });
  const problems = (sources: Readonly<Record<string, readonly string[]>>, over: Partial<PackageJson>) =>
    dependencyProblems(graphOf(sources), 'packages/a', json(over), json({ devDependencies: { vitest: '1.0.0' } }));

  test('is content where imports and declarations agree', () => {
    expect(
      problems(
        {
          'packages/a/src/x.ts': ['node:fs', 'fs', './y.ts', '#engine', 'zod/mini', '@x/a'],
          'packages/a/test/x.test.ts': ['vitest', 'peer'],
        },
        { dependencies: { zod: '1.0.0' }, devDependencies: { peer: '1.0.0', '@types/zod': '1.0.0' } },
      ),
    ).toEqual([]);
  });

  test('names what is imported and not declared', () => {
    expect(problems({ 'packages/a/src/x.ts': ['zod'], 'packages/a/test/y.ts': ['peer'] }, {})).toHaveLength(2);
  });

  test('does not let a shipped file import what only tests may have', () => {
    expect(problems({ 'packages/a/src/x.ts': ['zod'] }, { devDependencies: { zod: '1.0.0' } })).toHaveLength(1);
  });

  test('names what is declared and not imported', () => {
    expect(
      problems(
        { 'packages/b/src/x.ts': ['zod'] },
        { dependencies: { zod: '1.0.0' }, devDependencies: { peer: '1.0.0' } },
      ),
    ).toHaveLength(2);
  });
});
