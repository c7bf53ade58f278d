import { existsSync } from 'node:fs';
import { mkdtemp, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { type RunDirectory, takeRunDirectory } from '../src/tenant/runDirectory.ts';

const taken: RunDirectory[] = [];
const made: string[] = [];
const take = async () => {
  const directory = await takeRunDirectory(undefined);
  taken.push(directory);
  return directory;
};
const age = (path: string) => utimes(path, new Date(), new Date(Date.now() - 120_000));

afterEach(async () => {
  for (const directory of taken.splice(0)) await directory.release();
  for (const path of made.splice(0)) await rm(path, { recursive: true, force: true });
});

test('what an owner that is gone left is removed; what somebody holds, or is about to hold, is not', async () => {
  const [fresh, abandoned] = [
    await mkdtemp(join(tmpdir(), 'cloister-sandbox-')),
    await mkdtemp(join(tmpdir(), 'cloister-sandbox-')),
  ];
  made.push(fresh, abandoned);
  const held = await take();
  await age(abandoned);
  await age(held.path);
  await take();
  expect([fresh, abandoned, held.path].map((path) => existsSync(path))).toEqual([true, false, true]);
});

test('many that begin at once do not take each other’s away', async () => {
  const directories = await Promise.all(Array.from({ length: 12 }, take));
  expect(new Set(directories.map(({ path }) => path)).size).toBe(12);
  for (const { path } of directories) expect(existsSync(join(path, 'lock.sock'))).toBe(true);
});
