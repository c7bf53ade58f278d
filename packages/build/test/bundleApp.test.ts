import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundleApp } from '@cloister/build';
import { maxCodeBytes } from '@cloister/core';
import { afterAll, beforeAll, expect, test } from 'vitest';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cloister-build-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const magic = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
const write = async (name: string, content: Uint8Array | string): Promise<string> => {
  await writeFile(join(folder, name), content);
  return join(folder, name);
};

test('a module is known by its first bytes, whatever its name, and stays as it is', async () => {
  for (const name of ['Word Count.wasm', 'word-count.ts']) {
    const bytes = Uint8Array.from([...magic, 0, 1, 0]);
    const bundle = await bundleApp(await write(name, bytes));
    expect(bundle).toEqual({ kind: 'wasm', code: bytes, name: 'word-count', inputs: [name] });
  }
});

test('everything else is the entry of a function', async () => {
  const handler = 'export default { fetch(): Response { return new Response("hi"); } };\n';
  expect(await bundleApp(await write('hello.ts', handler))).toMatchObject({ kind: 'function', name: 'hello' });
  const refused = (file: string, code: string) => expect(bundleApp(file)).rejects.toMatchObject({ code });
  await refused(await write('short.wasm', Uint8Array.from(magic.slice(0, 3))), 'BUNDLE_FAILED');
  await refused(join(folder, 'missing.wasm'), 'BUNDLE_ENTRY_MISSING');
  await mkdir(join(folder, 'folder'));
  await refused(join(folder, 'folder'), 'BUNDLE_ENTRY_MISSING');
});

test('a module that is too large is refused', async () => {
  const bytes = new Uint8Array(maxCodeBytes + 1);
  bytes.set(magic);
  await expect(bundleApp(await write('large.wasm', bytes))).rejects.toMatchObject({ code: 'BUNDLE_TOO_LARGE' });
});
