import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { importCircles } from './support/importCircles.ts';
import { type ImportGraph, reachedFrom, readImportGraph } from './support/importGraph.ts';
import { moduleFacts } from './support/moduleImports.ts';

describe('moduleFacts', () => {
  const specifiers = (source: string) =>
    moduleFacts('a.ts', source).imports.map(({ specifier, how }) => `${how} ${specifier}`);

  test('finds every way to name another module', () => {
    expect(
      specifiers(`
        import a from 'a';
        import 'b';
        export * from 'c';
        export { d } from 'd';
        const e = await import('e');
        const f = await import(\`f\`);
        type G = import('g').G;
        const h = require('h');
        const i = import.meta.resolve('i');
        const j = require.resolve('j');
        const k = new URL('./k.ts', import.meta.url);
        const l = createRequire(import.meta.url)('l');
        const m = module.createRequire(import.meta.url).resolve('m');
      `),
    ).toEqual([
      'import a',
      'import b',
      'export c',
      'export d',
      'dynamic e',
      'dynamic f',
      'import g',
      'require h',
      'resolve i',
      'resolve j',
      'url ./k.ts',
      'require l',
      'resolve m',
    ]);
  });

  test('takes no import out of comments, strings, templates and regular expressions', () => {
    expect(
      specifiers(`
        // import a from 'a';
        /* import 'b'; */
        const c = "import('c')";
        const d = \`import('d') \${'import "e"'}\`;
        const f = /import("f")/;
      `),
    ).toEqual([]);
  });

  test('tells imports of types from imports of values', () => {
    const { imports } = moduleFacts(
      'a.ts',
      `import type { A } from 'a'; import { type B } from 'b'; import { type C, c } from 'c'; import 'd'; export type { E } from 'e';`,
    );
    expect(imports.filter(({ typeOnly }) => typeOnly).map(({ specifier }) => specifier)).toEqual(['a', 'b', 'e']);
  });

  test('reports the lines of computed imports and of reads of the environment', () => {
    const facts = moduleFacts(
      'a.ts',
      [
        'const name = "x";',
        'await import(name);',
        'const b = process.env.B;',
        'const { env } = process;',
        "import { env as e } from 'node:process';",
        "const d = process['env'];",
        'const env2 = options.env;',
      ].join('\n'),
    );
    expect(facts.computedImports).toEqual([2]);
    expect(facts.environmentReads).toEqual([3, 4, 5, 6]);
  });

  test('refuses a source that does not parse', () => {
    expect(() => moduleFacts('a.ts', 'import { from')).toThrow(/does not parse/);
  });
});

describe('readImportGraph', () => {
  const files: Readonly<Record<string, string>> = {
    'packages/low/package.json': JSON.stringify({
      name: '@x/low',
      version: '1.0.0',
      exports: { '.': './src/index.ts', './deep': './src/deep.ts' },
      imports: { '#engine': { node: './src/engine.node.ts', default: './src/engine.web.ts' } },
    }),
    'packages/low/src/index.ts': `export * from '#engine';`,
    'packages/low/src/engine.node.ts': `import 'node:crypto'; export const engine = 1;`,
    'packages/low/src/engine.web.ts': 'export const engine = 2;',
    'packages/low/src/deep.ts': `import 'fs'; import '@noble/hashes/sha3.js';`,
    'packages/low/node_modules/z/index.js': `import 'never-read';`,
    'packages/high/package.json': JSON.stringify({
      name: '@x/high',
      version: '1.0.0',
      exports: { '.': './src/index.ts' },
    }),
    'packages/high/src/index.ts': `import { engine } from '@x/low'; import './helper.ts'; new URL('./started.ts', import.meta.url);`,
    'packages/high/src/helper.ts': `import '@x/low/deep'; import '@x/low/secret'; import './gone.ts';`,
    'packages/high/src/started.ts': `import 'node:child_process';`,
  };
  let base = '';
  let graph: ImportGraph;

  beforeAll(() => {
    base = fs.mkdtempSync(path.join(os.tmpdir(), 'cloister-graph-'));
    for (const [file, text] of Object.entries(files)) {
      fs.mkdirSync(path.dirname(path.join(base, file)), { recursive: true });
      fs.writeFileSync(path.join(base, file), text);
    }
    graph = readImportGraph(base, ['packages']);
  });
  afterAll(() => fs.rmSync(base, { recursive: true, force: true }));

  const targetsOfImport = (file: string, specifier: string) =>
    graph.files.get(file)?.imports.find((found) => found.specifier === specifier)?.targets;

  test('resolves through package exports, imports maps and relative paths', () => {
    expect(targetsOfImport('packages/high/src/index.ts', '@x/low')).toEqual([
      { kind: 'file', path: 'packages/low/src/index.ts', conditions: [] },
    ]);
    expect(targetsOfImport('packages/low/src/index.ts', '#engine')).toEqual([
      { kind: 'file', path: 'packages/low/src/engine.node.ts', conditions: ['node'] },
      { kind: 'file', path: 'packages/low/src/engine.web.ts', conditions: ['default'] },
    ]);
    expect(targetsOfImport('packages/low/src/deep.ts', 'fs')).toEqual([{ kind: 'builtin', name: 'node:fs' }]);
    expect(targetsOfImport('packages/low/src/deep.ts', '@noble/hashes/sha3.js')).toEqual([
      { kind: 'package', name: '@noble/hashes' },
    ]);
  });

  test('says missing for a subpath that is not exported and for a file that is not there', () => {
    expect(targetsOfImport('packages/high/src/helper.ts', '@x/low/secret')).toEqual([{ kind: 'missing' }]);
    expect(targetsOfImport('packages/high/src/helper.ts', './gone.ts')).toEqual([{ kind: 'missing' }]);
  });

  test('reaches over packages and tells the way; started programs are not reached', () => {
    const reached = reachedFrom(graph, (file) => file === 'packages/high/src/index.ts');
    const builtins = reached.flatMap(({ target, way }) => (target.kind === 'builtin' ? [[target.name, ...way]] : []));
    expect(builtins.sort()).toEqual([
      ['node:crypto', 'packages/high/src/index.ts', 'packages/low/src/index.ts', 'packages/low/src/engine.node.ts'],
      ['node:fs', 'packages/high/src/index.ts', 'packages/high/src/helper.ts', 'packages/low/src/deep.ts'],
    ]);
  });

  test('follows only the imports it is told to', () => {
    const reached = reachedFrom(
      graph,
      (file) => file === 'packages/high/src/index.ts',
      (_, target) => target.kind !== 'file' || !target.conditions.includes('node'),
    );
    expect(reached.some(({ target }) => target.kind === 'builtin' && target.name === 'node:crypto')).toBe(false);
  });

  test('reads nothing under node_modules', () => {
    expect([...graph.files.keys()].filter((file) => file.includes('node_modules'))).toEqual([]);
  });
});

test('circles of imports are found, each once: of two files, of types, of one file, and through many', () => {
  const edges = { a: 'b c', b: 'd', c: 'd', d: '', e: 'f', f: 'g a', g: 'e', h: 'h', i: 'j', j: 'i f' };
  const files = Object.entries(edges).map(([path, to]) => {
    const imports = to.split(' ').map((next) => ({
      ...{ specifier: next, how: 'import', typeOnly: true, line: 1 },
      targets: [{ kind: 'file', path: next, conditions: [] }],
    }));
    return [path, { path, imports }] as const;
  });
  const graph = { files: new Map(files), workspaces: [] } as unknown as ImportGraph;
  expect(importCircles(graph)).toEqual([['e', 'f', 'g'], ['h'], ['i', 'j']]);
});
