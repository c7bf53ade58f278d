import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { inRoot } from '../../scripts/lib/paths.ts';
import { runNode } from '../../scripts/lib/runProcess.ts';
import { runVitest } from '../../scripts/lib/vitestPart.ts';

// Inside the repository, so that the fixtures find Vitest; in a folder that git does not know.
let folder = '';
beforeAll(() => {
  fs.mkdirSync(inRoot('.cloister'), { recursive: true });
  folder = fs.mkdtempSync(inRoot('.cloister/runners-'));
});
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

const write = (file: string, text: string) =>
  fs.writeFileSync(path.join(folder, file), `import { beforeAll, describe, expect, test } from 'vitest';\n${text}`);

test('runVitest counts every test, and names whatever else went wrong as a failure', async () => {
  write('good.test.ts', `test('one', () => {}); describe('in', () => { test('two', () => {}); });`);
  write(
    'bad.test.ts',
    `test('wrong', () => { expect(1).toBe(2); }); test.skip('left out', () => {}); test.todo('later');`,
  );
  write('gone.test.ts', `import './nowhere.ts'; test('never', () => {});`);
  write(
    'hook.test.ts',
    `describe('hook', () => { beforeAll(() => { throw new Error('hook'); }); test('never', () => {}); });`,
  );
  write(
    'stray.test.ts',
    `test('strays', async () => { Promise.reject(new Error('astray')); await new Promise((r) => setTimeout(r, 20)); });`,
  );
  const { passed, failed, skipped } = await runVitest({ folder, output: 'keep' });
  const below = (names: readonly string[]) =>
    names.map((name) => name.replace(/^\.cloister\/runners-[^/]+\//, '')).sort();
  expect(passed).toBe(3);
  expect(below(skipped)).toEqual(['bad.test.ts > later', 'bad.test.ts > left out', 'hook.test.ts > hook > never']);
  expect(below(failed)).toEqual([
    'bad.test.ts > wrong',
    'gone.test.ts',
    'hook.test.ts > hook',
    'unhandled error: astray',
  ]);
}, 60_000);

test('runVitest without any test is a failure', async () => {
  const empty = path.join(folder, 'empty');
  fs.mkdirSync(empty);
  const { failed } = await runVitest({ folder: empty, output: 'keep' });
  expect(failed).toHaveLength(1);
}, 60_000);

test('runNode ends what takes too long, and answers an exit code as it is', async () => {
  expect(await runNode(['-e', 'setInterval(() => {}, 1000)'], { timeoutMs: 300 })).toMatchObject({ timedOut: true });
  expect(await runNode(['-e', 'console.log("a\\nb"); process.exit(3)'])).toMatchObject({
    code: 3,
    stdout: 'a\nb\n',
    timedOut: false,
  });
  await expect(runNode([], { cwd: path.join(folder, 'nowhere') })).rejects.toMatchObject({
    code: 'SCRIPT_CANNOT_START',
  });
});
