import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { acquireLock, writeFileAtomic } from '@cloister/service';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cloister-files-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('writeFileAtomic', () => {
  test('replaces the content and leaves nothing beside it', async () => {
    const path = join(folder, 'state.json');
    writeFileSync(path, 'old');
    await Promise.all(Array.from({ length: 8 }, (_, index) => writeFileAtomic(path, `new ${index}`, { mode: 0o600 })));
    expect(readFileSync(path, 'utf8')).toMatch(/^new [0-7]$/);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder)).toEqual(['state.json']);
  });

  test('keeps the old content when it fails', async () => {
    await expect(writeFileAtomic(join(folder, 'absent', 'x'), 'y')).rejects.toMatchObject({ code: 'ENOENT' });
    const path = join(folder, 'taken');
    mkdirSync(path);
    writeFileSync(join(path, 'kept'), '');
    await expect(writeFileAtomic(path, 'y')).rejects.toThrow();
    expect(readdirSync(folder)).toEqual(['taken']);
  });
});

describe('acquireLock', () => {
  const path = () => join(folder, 'lock');

  test('is held until released, and names its holder', () => {
    const lock = acquireLock(path());
    expect(() => acquireLock(path())).toThrow(
      expect.objectContaining({ code: 'LOCK_HELD', meta: { path: path(), pid: process.pid } }),
    );
    lock.release();
    lock.release();
    acquireLock(path()).release();
    expect(readdirSync(folder)).toEqual([]);
  });

  test('is taken over from a process that is gone, from a garbled file, and from another life of the same id', async () => {
    const child = spawn(process.execPath, ['-e', '']);
    await once(child, 'exit');
    writeFileSync(path(), JSON.stringify({ pid: child.pid, startedAt: null }));
    acquireLock(path()).release();
    writeFileSync(path(), '{"pi');
    acquireLock(path()).release();
    if (process.platform === 'linux') {
      writeFileSync(path(), JSON.stringify({ pid: process.pid, startedAt: '1' }));
      acquireLock(path()).release();
    }
  });

  test('of many processes that find a stale lock, one gets it', async () => {
    writeFileSync(path(), JSON.stringify({ pid: 2 ** 22 + 1, startedAt: null }));
    const source = new URL('../src/lockFile.ts', import.meta.url).href;
    const script = `import { acquireLock } from ${JSON.stringify(source)};
      try { acquireLock(${JSON.stringify(path())}); console.log('got'); } catch (error) { console.log(error.code); }
      process.stdin.resume();`;
    const children = Array.from({ length: 6 }, () =>
      spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['pipe', 'pipe', 'inherit'] }),
    );
    const answers = await Promise.all(
      children.map(async ({ stdout }) => String((await once(stdout, 'data'))[0]).trim()),
    );
    for (const child of children) child.stdin.end();
    await Promise.all(children.map((child) => once(child, 'exit')));
    expect(answers.sort()).toEqual(['LOCK_HELD', 'LOCK_HELD', 'LOCK_HELD', 'LOCK_HELD', 'LOCK_HELD', 'got']);
    expect(readdirSync(folder)).toEqual([]);
  });
});
