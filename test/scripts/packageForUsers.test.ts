import { describe, expect, test } from 'vitest';
import { builtinsInBundle } from '../../scripts/lib/browserBundle.ts';
import {
  builtSpecifiers,
  builtUrls,
  packageForUsers,
  tarballName,
  withNeeded,
} from '../../scripts/lib/packageForUsers.ts';
import type { PackageJson, Workspace } from '../../scripts/lib/workspaces.ts';

const json = (over: Partial<PackageJson>): PackageJson => ({ name: '@x/a', version: '1.2.3', type: 'module', ...over });
const workspace = (name: string, dependencies: Readonly<Record<string, string>> = {}): Workspace => ({
  folder: `/r/packages/${name}`,
  path: `packages/${name}`,
  json: json({ name: `@x/${name}`, dependencies }),
});

describe('packageForUsers', () => {
  test('points every export and import at what is built, types first', () => {
    const packed = packageForUsers(
      json({
        exports: {
          '.': './src/index.ts',
          './deep': { node: './src/deep/a.node.ts', default: './src/deep/a.ts' },
          './root.pem': './src/root.pem',
        },
        imports: { '#engine': { node: './src/engine.node.ts', default: './src/engine.web.ts' } },
      }),
      new Map(),
    );
    expect(packed.exports).toEqual({
      '.': { types: './dist/index.d.ts', default: './dist/index.js' },
      './deep': {
        node: { types: './dist/deep/a.node.d.ts', default: './dist/deep/a.node.js' },
        default: { types: './dist/deep/a.d.ts', default: './dist/deep/a.js' },
      },
      './root.pem': './src/root.pem',
      './package.json': './package.json',
    });
    expect(packed.imports).toEqual({ '#engine': { node: './dist/engine.node.js', default: './dist/engine.web.js' } });
  });

  test('pins our own packages, keeps the others, drops what only tests need', () => {
    const packed = packageForUsers(
      json({
        dependencies: { '@x/b': '*', viem: '2.0.0' },
        devDependencies: { vitest: '1.0.0' },
        scripts: { test: 'x' },
      }),
      new Map([['@x/b', '1.2.3']]),
    );
    expect(packed.dependencies).toEqual({ '@x/b': '1.2.3', viem: '2.0.0' });
    expect(packed).not.toHaveProperty('devDependencies');
    expect(packed).not.toHaveProperty('scripts');
  });

  test('ships the program of a package that has one', () => {
    expect(packageForUsers(json({ bin: { a: 'bin/a.js' } }), new Map())).toMatchObject({
      bin: { a: 'bin/a.js' },
      files: ['dist', 'bin'],
    });
    expect(packageForUsers(json({}), new Map())).toMatchObject({ files: ['dist'] });
    expect(packageForUsers(json({ files: ['templates'] }), new Map())).toMatchObject({ files: ['dist', 'templates'] });
  });
});

describe('withNeeded', () => {
  const all = [
    workspace('high', { '@x/mid': '1', viem: '2' }),
    workspace('low'),
    workspace('mid', { '@x/low': '1' }),
    workspace('other'),
  ];

  test('takes along what is needed, before who needs it, and nothing else', () => {
    expect(withNeeded(all, ['@x/high']).map(({ json: { name } }) => name)).toEqual(['@x/low', '@x/mid', '@x/high']);
  });

  test('refuses circles and unknown names', () => {
    const circle = [workspace('a', { '@x/b': '1' }), workspace('b', { '@x/a': '1' })];
    expect(() => withNeeded(circle, ['@x/a'])).toThrow(/circle: @x\/a → @x\/b → @x\/a/);
    expect(() => withNeeded(all, ['@x/gone'])).toThrow(/No workspace is called "@x\/gone"/);
  });
});

test('endings of relative specifiers are built, those of packages are not', () => {
  expect(
    builtSpecifiers(
      `import { A } from './a.ts';\nexport * from "../b/c.ts";\ntype D = import('./d.ts').D;\nimport 'x.ts';`,
    ),
  ).toBe(`import { A } from './a.js';\nexport * from "../b/c.js";\ntype D = import('./d.js').D;\nimport 'x.ts';`);
  expect(builtUrls(`new URL('./child.ts', import.meta.url); new URL('./x.ts', base);`)).toBe(
    `new URL('./child.js', import.meta.url); new URL('./x.ts', base);`,
  );
});

test('tarballName is what npm calls it', () => {
  expect(tarballName('@cloister/sdk', '0.1.0')).toBe('cloister-sdk-0.1.0.tgz');
});

test('builtinsInBundle finds imports of Node.js and the stand-ins that hide them', () => {
  expect(
    builtinsInBundle({
      code: `import 'node:fs'; import 'path'; import 'zod'; const a = "node:os";`,
      modules: ['/a.js', '__vite-browser-external:crypto'],
    }),
  ).toEqual(['node:fs', 'path', '__vite-browser-external:crypto']);
  expect(builtinsInBundle({ code: 'export {};', modules: ['/a.js'] })).toEqual([]);
});
