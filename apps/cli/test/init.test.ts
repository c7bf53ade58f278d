import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleFunction } from '@cloister/build';
import { appFileSchema } from '@cloister/core';
import { checkArchive, checkModule, parseCompose } from '@cloister/sandbox';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import wabt from 'wabt';
import { tinyOnnx } from '../../../packages/sandbox/test/tinyOnnx.ts';
import { templates } from '../src/templates.ts';
import { run } from './cliNetwork.ts';

const root = await mkdtemp(join(tmpdir(), 'cloister-init-'));
afterAll(() => rm(root, { recursive: true, force: true }));
let folder = '';
let count = 0;
beforeEach(() => {
  count += 1;
  folder = join(root, `Fine Shop ${count}`);
});

const source = (path: string) => fileURLToPath(new URL(`../templates/${path}`, import.meta.url));
const json = async (path: string) => JSON.parse(await readFile(path, 'utf8'));
const make = (template: string, at = folder) => run('--json', 'init', at, '--template', template);
const check = () => run('--json', 'manifest', 'check', folder);

test('without a template it lists them, and makes nothing', async () => {
  expect(JSON.parse((await run('--json', 'init')).out)).toEqual(JSON.parse(JSON.stringify(templates)));
  const prose = await run('init', folder);
  for (const { name } of templates) expect(prose.out).toMatch(new RegExp(`^${name} +\\S`, 'm'));
  await expect(readdir(folder)).rejects.toThrow('ENOENT');
});

test('there is a folder for each that is listed, and no other', async () => {
  expect((await readdir(source('.'))).sort()).toEqual(templates.map(({ name }) => name).sort());
});

describe.each(templates.map(({ name }) => name))('%s', (template) => {
  test('is made under the name of its folder, with the schema of now', async () => {
    const { out, error } = await make(template);
    expect(error).toBeUndefined();
    const made = JSON.parse(out) as { files: string[] };
    const name = `fine-shop-${count}`;
    expect(made).toMatchObject({ folder, name, template });
    const files = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((one) => one.isFile());
    expect(files.map(({ name: file }) => file).sort()).toEqual(made.files.map((file) => file.split('/').at(-1)).sort());
    expect(made.files).toEqual(expect.arrayContaining(['.gitignore', 'README.md', 'package.json', 'cloister.json']));
    expect(await json(join(folder, 'cloister.schema.json'))).toEqual(appFileSchema());
    expect(await json(join(folder, 'cloister.json'))).toMatchObject({ $schema: './cloister.schema.json', name });
    expect((await json(join(folder, 'package.json'))).name).toBe(name);
    const readme = await readFile(join(folder, 'README.md'), 'utf8');
    expect(readme).not.toContain('my-app');
    expect(readme.split('\n').length).toBeLessThan(16);
  });

  test('pins what the repository has, and lists what it imports', async () => {
    const { version } = await json(fileURLToPath(new URL('../package.json', import.meta.url)));
    const { devDependencies: ours } = await json(fileURLToPath(new URL('../../../package.json', import.meta.url)));
    const { devDependencies } = (await json(source(`${template}/package.json`))) as {
      devDependencies: Record<string, string>;
    };
    for (const [name, pinned] of Object.entries(devDependencies))
      expect([name, pinned]).toEqual([name, name.startsWith('@cloister/') ? version : ours[name]]);
    const files = await readdir(source(template), { recursive: true });
    for (const file of files.filter((one) => one.endsWith('.ts'))) {
      const text = await readFile(source(`${template}/${file}`), 'utf8');
      const imported = [...text.matchAll(/from '([^'.][^']*)'/g)].map(([, name]) => name ?? '');
      expect(imported.filter((name) => !name.startsWith('node:') && devDependencies[name] === undefined)).toEqual([]);
    }
  });
});

describe('what is made works', () => {
  test('function: its manifest holds and its code bundles', async () => {
    await make('function');
    expect(JSON.parse((await check()).out)).toMatchObject({ ok: true, kind: 'function' });
    expect((await bundleFunction(join(folder, 'src/index.ts'))).inputs).toEqual(['index.ts']);
  });

  test('wasm: not before it is built, and then it is a module that workers take', async () => {
    await make('wasm');
    expect((await check()).error).toMatchObject({
      code: 'APP_FILE_INVALID',
      message: expect.stringMatching(/cloister\.json:5:3: "main": there is no file .*main\.wasm.*built/),
    });
    const text = await readFile(join(folder, 'main.wat'), 'utf8');
    const module = new Uint8Array((await wabt()).parseWat('main.wat', text).toBinary({}).buffer);
    await writeFile(join(folder, 'main.wasm'), module);
    expect(JSON.parse((await check()).out)).toMatchObject({ ok: true, kind: 'wasm' });
    expect(() => checkModule(module, { memoryBytes: 128 << 20, fuel: 10_000_000, deterministic: true })).not.toThrow();
  });

  test('model: with a network that this repository makes', async () => {
    await make('model');
    expect(JSON.parse((await check()).out)).toMatchObject({ ok: true, kind: 'model' });
    expect((await readFile(join(folder, 'model.onnx'))).equals(tinyOnnx())).toBe(true);
  });

  test('container: its compose file holds, and its script makes an image that workers take', async () => {
    await make('container');
    expect(JSON.parse((await check()).out)).toMatchObject({ ok: true, kind: 'container' });
    const name = `fine-shop-${count}`;
    const { services, public: reached } = parseCompose(await readFile(join(folder, 'compose.yaml'), 'utf8'));
    expect(services.map(({ name: service, image, command }) => [service, image, command])).toEqual([
      ['web', `${name}:1`, ['/app/server.mjs']],
    ]);
    expect(reached).toEqual({ service: 'web', port: 8080 });
    const { scripts } = await json(join(folder, 'package.json'));
    expect(scripts.deploy).toContain(`--image ${name}:1=image.tar`);
    // Any program will do where none runs: Node.js is large.
    const made = spawnSync(process.execPath, ['makeImage.mjs', 'image.tar', '/bin/true'], { cwd: folder });
    if (process.platform !== 'linux') return expect(String(made.stderr)).toContain('Workers run Linux');
    expect([made.status, String(made.stderr)]).toEqual([0, '']);
    const { config } = await checkArchive(join(folder, 'image.tar'), { signal: AbortSignal.timeout(10_000) });
    expect(config.entrypoint).toEqual(['/bin/program']);
    expect(String(made.stdout)).toMatch(/^image\.tar: image sha256:[0-9a-f]{64}\n$/);
    // The same files make the same image, whenever and wherever.
    const bytes = await readFile(join(folder, 'image.tar'));
    spawnSync(process.execPath, ['makeImage.mjs', 'again.tar', '/bin/true'], { cwd: folder });
    expect((await readFile(join(folder, 'again.tar'))).equals(bytes)).toBe(true);
  });

  test('chat: once its weights are there', async () => {
    await make('chat');
    expect((await check()).error).toMatchObject({ message: expect.stringContaining('model.gguf') });
    await writeFile(join(folder, 'model.gguf'), 'GGUF');
    expect(JSON.parse((await check()).out)).toMatchObject({ ok: true, kind: 'model' });
  });
});

describe('refuses', () => {
  test('a template that there is not, and names those that there are', async () => {
    expect((await make('../../src')).error).toMatchObject({
      code: 'INIT_TEMPLATE_UNKNOWN',
      hint: 'Choose one of function, wasm, model, container, chat',
    });
    await expect(readdir(folder)).rejects.toThrow('ENOENT');
  });

  test.each(['cloister.json', '.gitignore', 'src/index.ts', 'src'])(
    'to write over %s, and makes nothing',
    async (name) => {
      await mkdir(join(folder, name, '..'), { recursive: true });
      await writeFile(join(folder, name), 'mine');
      const { error } = await make('function');
      const taken = name === 'src' ? 'src/index.ts' : name;
      expect(error).toMatchObject({ code: 'INIT_FILE_EXISTS', message: `There is "${join(folder, taken)}" already` });
      expect((await readdir(folder, { recursive: true })).filter((one) => one !== 'src')).toEqual(
        name === 'src' ? [] : [name],
      );
      expect(await readFile(join(folder, name), 'utf8')).toBe('mine');
    },
  );

  test('to write through a link that leads nowhere', async () => {
    await mkdir(folder);
    await symlink(join(root, 'elsewhere'), join(folder, 'cloister.json'));
    expect((await make('function')).error).toMatchObject({ code: 'INIT_FILE_EXISTS' });
    await expect(readFile(join(root, 'elsewhere'))).rejects.toThrow('ENOENT');
  });

  test('a folder that is a file', async () => {
    await writeFile(folder, 'mine');
    expect((await make('function')).error).toMatchObject({ code: 'INIT_FILE_EXISTS' });
    expect(await readFile(folder, 'utf8')).toBe('mine');
  });

  test('a second time in one folder; other files there do not matter', async () => {
    await mkdir(folder);
    await writeFile(join(folder, 'notes.txt'), 'mine');
    expect((await make('function')).error).toBeUndefined();
    expect((await make('wasm')).error).toMatchObject({ code: 'INIT_FILE_EXISTS' });
  });
});
