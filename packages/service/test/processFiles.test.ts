import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { processFiles } from '@cloister/service';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

let folder = '';
let root = '';

const files = {
  'package.json': '{"name":"whole","workspaces":["packages/*","apps/*"]}',
  'apps/worker/package.json':
    '{"name":"@x/worker","dependencies":{"@x/core":"1","outside":"1"},"devDependencies":{"tool":"1"}}',
  'apps/worker/src/main.ts': "import '@x/core';\n",
  'apps/worker/src/deep/part.ts': 'export {};\n',
  'apps/worker/src/main.test.ts': 'never runs\n',
  'apps/worker/test/main.test.ts': 'never runs\n',
  'apps/other/package.json': '{"name":"@x/other"}',
  'apps/other/src/main.ts': 'another process\n',
  'packages/core/package.json': '{"name":"@x/core","dependencies":{"both":"2"}}',
  'packages/core/src/index.ts': 'export {};\n',
  'packages/unused/package.json': '{"name":"@x/unused"}',
  'packages/unused/src/index.ts': 'export {};\n',
  'node_modules/outside/package.json':
    '{"name":"outside","dependencies":{"both":"1","cycle":"1"},"optionalDependencies":{"for-this-machine":"1","for-another":"1"}}',
  'node_modules/outside/index.js': 'module.exports = 1;\n',
  'node_modules/outside/index.d.ts': 'types\n',
  'node_modules/outside/index.js.map': 'map\n',
  'node_modules/outside/README.md': 'text\n',
  'node_modules/outside/native.node': 'binary\n',
  'node_modules/outside/node_modules/both/package.json': '{"name":"both","version":"1"}',
  'node_modules/outside/node_modules/both/one.js': '1;\n',
  'node_modules/outside/node_modules/stray/package.json': '{"name":"stray"}',
  'node_modules/outside/node_modules/stray/index.js': 'nobody declares it\n',
  'node_modules/both/package.json': '{"name":"both","version":"2"}',
  'node_modules/both/two.js': '2;\n',
  'node_modules/cycle/package.json': '{"name":"cycle","dependencies":{"outside":"1"}}',
  'node_modules/cycle/index.js': 'cycle;\n',
  'node_modules/for-this-machine/package.json': '{"name":"for-this-machine"}',
  'node_modules/for-this-machine/index.js': 'native;\n',
  'node_modules/tool/package.json': '{"name":"tool"}',
  'node_modules/tool/index.js': 'only for tests\n',
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cloister-files-'));
  root = join(folder, 'one');
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
  await mkdir(join(root, 'node_modules/@x'));
  await symlink('../../packages/core', join(root, 'node_modules/@x/core'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('processFiles', () => {
  test('lists what runs in the process, by what the packages declare, and nothing else', async () => {
    const found = await processFiles(root, 'apps/worker');
    expect(found.runtime).toBe(process.execPath);
    expect(found.code).toEqual({
      root,
      files: [
        'apps/worker/package.json',
        'apps/worker/src/deep/part.ts',
        'apps/worker/src/main.ts',
        'packages/core/package.json',
        'packages/core/src/index.ts',
      ],
    });
    expect(found.dependencies).toEqual({
      root,
      files: [
        'node_modules/both/package.json',
        'node_modules/both/two.js',
        'node_modules/cycle/index.js',
        'node_modules/cycle/package.json',
        'node_modules/for-this-machine/index.js',
        'node_modules/for-this-machine/package.json',
        'node_modules/outside/index.js',
        'node_modules/outside/native.node',
        'node_modules/outside/node_modules/both/one.js',
        'node_modules/outside/node_modules/both/package.json',
        'node_modules/outside/package.json',
      ],
    });
  });

  test('gives the same list, sorted, in another folder', async () => {
    const other = join(folder, 'another', 'place');
    await cp(root, other, { recursive: true, verbatimSymlinks: true });
    const [here, there] = [await processFiles(root, 'apps/worker'), await processFiles(other, 'apps/worker')];
    expect(there.code.files).toEqual(here.code.files);
    expect(there.dependencies.files).toEqual(here.dependencies.files);
    expect([...here.code.files].sort()).toEqual(here.code.files);
    expect([...here.dependencies.files].sort()).toEqual(here.dependencies.files);
  });

  test('names a dependency that is not installed', async () => {
    const broken = join(folder, 'broken');
    await cp(root, broken, { recursive: true, verbatimSymlinks: true });
    await rm(join(broken, 'node_modules/cycle'), { recursive: true });
    await expect(processFiles(broken, 'apps/worker')).rejects.toMatchObject({
      code: 'DEPENDENCY_NOT_INSTALLED',
      message: expect.stringContaining('"cycle"'),
    });
  });
});
