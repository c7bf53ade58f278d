import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { bundleFunction } from '@cloister/build';
import { maxCodeBytes } from '@cloister/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cloister-build-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Writes the files below a folder of this name, and gives it. */
async function tree(name: string, files: Record<string, string>): Promise<string> {
  const root = join(folder, name);
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
  return root;
}

const handler = 'export default { fetch(): Response { return new Response("hi"); } };\n';
const text = (code: Uint8Array) => new TextDecoder().decode(code);

const project = {
  'src/app.ts': `import { greet, type Greeting } from '../lib/greet.ts';
import data from './data.json';
import { twice } from 'little';
const greeting: Greeting = greet(data.name);
export default { fetch: () => new Response(twice(greeting) + ' — ü') };
`,
  'src/data.json': '{"name":"world"}',
  'lib/greet.ts': `export type Greeting = string;
export const greet = (name: string): Greeting => \`Hello, \${name}\`;
export const unused = 'never called';
`,
  'node_modules/little/package.json': '{"name":"little","version":"1.0.0","type":"module","main":"index.js"}',
  'node_modules/little/index.js': 'export const twice = (text) => text + text;\n',
};

describe('bundleFunction', () => {
  test('makes one module of an entry and what it imports', async () => {
    const root = await tree('project', project);
    const { code, name, inputs } = await bundleFunction(join(root, 'src/app.ts'));
    expect(name).toBe('app');
    expect(inputs).toEqual(['../lib/greet.ts', '../node_modules/little/index.js', 'app.ts', 'data.json']);
    const source = text(code);
    expect(source).not.toMatch(/^import /m);
    expect(source).not.toContain('never called');
    expect(source).toContain('— ü');
    const module = await import(`data:text/javascript;base64,${Buffer.from(code).toString('base64')}`);
    expect(await module.default.fetch().text()).toBe('Hello, worldHello, world — ü');
  });

  test('gives the same bytes for the same files in another folder, from another working directory', async () => {
    const one = await tree('here', project);
    const two = join(folder, 'some', 'where', 'else');
    await cp(one, two, { recursive: true });
    const first = await bundleFunction(join(one, 'src/app.ts'));
    const second = await bundleFunction(join(two, 'src/app.ts'));
    expect(Buffer.from(second.code).equals(Buffer.from(first.code))).toBe(true);
    expect(second.inputs).toEqual(first.inputs);
    expect(text(first.code)).not.toContain(folder);

    await writeFile(join(two, 'lib/greet.ts'), project['lib/greet.ts'].replace('Hello', 'hello'));
    const changed = await bundleFunction(join(two, 'src/app.ts'));
    expect(Buffer.from(changed.code).equals(Buffer.from(first.code))).toBe(false);
  });

  test('gives the same bytes whatever tsconfig.json lies beside it, above it, or in a package that it imports', async () => {
    const files = {
      'src/app.ts': `import { twice } from 'little';
import { shout } from '~/shout.ts';
class Greeter {
  name;
  constructor(private readonly greeting: string) {}
  say() { return twice(this.greeting); }
}
export default { fetch: () => new Response(shout(new Greeter('hi').say())) };
`,
      'node_modules/~/shout.ts': 'export const shout = (text: string) => text.toUpperCase();\n',
      'node_modules/little/package.json': '{"name":"little","version":"1.0.0","type":"module","main":"index.ts"}',
      'node_modules/little/index.ts': 'export const twice = (text: string) => text + text;\n',
    };
    const config = JSON.stringify({
      compilerOptions: {
        target: 'ES5',
        alwaysStrict: true,
        useDefineForClassFields: false,
        experimentalDecorators: true,
        jsx: 'react',
        paths: { '~/*': ['./other/*'] },
      },
    });
    const other = { 'other/shout.ts': 'export const shout = (text: string) => "other " + text;\n' };
    const plain = await bundleFunction(join(await tree('plain', files), 'src/app.ts'));
    for (const place of ['tsconfig.json', 'src/tsconfig.json', 'node_modules/little/tsconfig.json']) {
      const name = `configured-${place.replaceAll('/', '-')}`;
      const root = await tree(name, { ...files, ...other, [place]: config });
      const bundle = await bundleFunction(join(root, 'src/app.ts'));
      expect(text(bundle.code), place).toBe(text(plain.code));
    }
    await tree('above', { 'tsconfig.json': config, 'jsconfig.json': config });
    const below = await bundleFunction(join(await tree('above/below', files), 'src/app.ts'));
    expect(text(below.code)).toBe(text(plain.code));
  });

  test('honours what a package.json says of the files beside it, which is a part of the source', async () => {
    const files = {
      'app.js': "import { x } from '#x';\nexport default { fetch: () => new Response(x) };\n",
      'one.js': 'export const x = "one";\n',
      'two.js': 'export const x = "two";\n',
    };
    const of = async (name: string, x: string) =>
      text(
        (
          await bundleFunction(
            join(await tree(name, { ...files, 'package.json': JSON.stringify({ imports: { '#x': x } }) }), 'app.js'),
          )
        ).code,
      );
    expect(await of('first', './one.js')).toContain('"one"');
    expect(await of('second', './two.js')).toContain('"two"');
  });

  test.each([
    ['hello.ts', 'hello'],
    ['Hello World_2.mjs', 'hello-world-2'],
    ['some-app/index.ts', 'some-app'],
    ['Some App/main.ts', 'some-app'],
    ['scorer/function.ts', 'scorer'],
    ['_.ts', 'app'],
    [`${'x'.repeat(100)}.js`, 'x'.repeat(63)],
    ['a.b.ts', 'a-b'],
  ])('names the app after %s: %s', async (file, expected) => {
    const root = await tree('names', { [file]: handler.replace(': Response', '') });
    expect((await bundleFunction(join(root, file))).name).toBe(expected);
  });
});

describe('what can not be bundled', () => {
  test('a file that is not there, or a folder', async () => {
    await expect(bundleFunction(join(folder, 'nothing.ts'))).rejects.toMatchObject({
      code: 'BUNDLE_ENTRY_MISSING',
      message: `No file "${join(folder, 'nothing.ts')}"`,
    });
    await expect(bundleFunction(folder)).rejects.toMatchObject({ code: 'BUNDLE_ENTRY_MISSING' });
  });

  test('a syntax error, with its place', async () => {
    const root = await tree('syntax', { 'bad.ts': 'export default {\n  fetch( {\n};\n' });
    await expect(bundleFunction(join(root, 'bad.ts'))).rejects.toMatchObject({
      code: 'BUNDLE_FAILED',
      message: expect.stringMatching(/bad\.ts:3:\d+: Expected/),
    });
  });

  test.each([
    ['a file of its own that is missing', "import x from './missing.ts';", './missing.ts'],
    ['a package that is not installed', "import x from 'not-installed-anywhere';", 'not-installed-anywhere'],
    ['a module of Node.js', "import x from 'node:fs';", 'node:fs'],
  ])('an import of %s', async (_, line, named) => {
    const root = await tree('imports', { 'app.ts': `${line}\nexport default { fetch: () => new Response(x) };\n` });
    await expect(bundleFunction(join(root, 'app.ts'))).rejects.toMatchObject({
      code: 'BUNDLE_FAILED',
      message: expect.stringMatching(new RegExp(`app\\.ts:1:\\d+: .*${named}`)),
    });
  });

  test.each([
    ['nothing', ''],
    ['only named exports', 'export const fetch = () => new Response("hi");'],
  ])('a module that exports %s', async (_, source) => {
    const root = await tree('exports', { 'app.ts': source });
    await expect(bundleFunction(join(root, 'app.ts'))).rejects.toMatchObject({ code: 'BUNDLE_NO_HANDLER' });
  });

  test('more than a worker takes', async () => {
    const root = await tree('large', {
      'app.js': `const data = ${JSON.stringify('x'.repeat(maxCodeBytes))};\nexport default { fetch: () => new Response(data) };\n`,
    });
    await expect(bundleFunction(join(root, 'app.js'))).rejects.toMatchObject({ code: 'BUNDLE_TOO_LARGE' });
  });
});
