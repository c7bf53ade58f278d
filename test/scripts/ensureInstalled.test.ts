import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ensureInstalled, type InstallablePart, isInstalled } from '../../scripts/lib/ensureInstalled.ts';
import { withFolderLock } from '../../scripts/lib/folderLock.ts';
import type { RunResult } from '../../scripts/lib/runProcess.ts';

const part: InstallablePart = { folder: 'heavy', what: 'a heavy thing', megabytes: 7 };
const good: RunResult = { code: 0, timedOut: false, stdout: '', stderr: '', ms: 1 };
let base = '';

beforeEach(() => {
  base = fs.mkdtempSync(path.join(os.tmpdir(), 'cloister-install-'));
  fs.mkdirSync(path.join(base, 'heavy'));
  fs.writeFileSync(path.join(base, 'heavy', 'package-lock.json'), '{}');
});
afterEach(() => fs.rmSync(base, { recursive: true, force: true }));

/** Installs by making the folder, and counts. */
function installer(result: RunResult = good) {
  const said: string[] = [];
  let runs = 0;
  const components = {
    base,
    say: (line: string) => void said.push(line),
    install: async (folder: string) => {
      runs += 1;
      fs.rmSync(path.join(folder, 'node_modules'), { recursive: true, force: true });
      fs.mkdirSync(path.join(folder, 'node_modules'));
      await new Promise((resolve) => setTimeout(resolve, 20));
      return result;
    },
  };
  return { said, components, runs: () => runs };
}

describe('ensureInstalled', () => {
  test('installs once, with one line that says what and how large, and again when the lock file changed', async () => {
    const { said, components, runs } = installer();
    expect(await ensureInstalled(part, components)).toBe(true);
    expect(said[0]).toMatch(/a heavy thing in heavy\/ \(about 7 MB/);
    expect(await ensureInstalled(part, components)).toBe(false);
    fs.writeFileSync(path.join(base, 'heavy', 'package-lock.json'), '{"changed":true}');
    expect(await ensureInstalled(part, components)).toBe(true);
    expect(runs()).toBe(2);
  });

  test('a lock file that names nothing needs nothing', async () => {
    fs.writeFileSync(path.join(base, 'heavy', 'package-lock.json'), '{"packages":{"":{"name":"heavy"}}}');
    const { components, runs } = installer();
    expect(await ensureInstalled(part, components)).toBe(false);
    expect(runs()).toBe(0);
  });

  test('two at once install once', async () => {
    const { components, runs } = installer();
    await Promise.all([ensureInstalled(part, components), ensureInstalled(part, components)]);
    expect(runs()).toBe(1);
    expect(fs.readdirSync(base)).toEqual(['heavy']);
  });

  test('an installation that fails leaves no stamp and names the end of its output', async () => {
    const { components } = installer({ ...good, code: 1, stderr: 'no space left' });
    await expect(ensureInstalled(part, components)).rejects.toThrow(/no space left/);
    expect(isInstalled(path.join(base, 'heavy'))).toBe(false);
  });

  test('an installation that was interrupted is made again', async () => {
    fs.mkdirSync(path.join(base, 'heavy', 'node_modules'));
    const { components, runs } = installer();
    await ensureInstalled(part, components);
    expect(runs()).toBe(1);
  });
});

describe('withFolderLock', () => {
  const lock = () => path.join(base, 'lock');

  test('one holder at a time', async () => {
    let inside = 0;
    let most = 0;
    const work = async () => {
      inside += 1;
      most = Math.max(most, inside);
      await new Promise((resolve) => setTimeout(resolve, 10));
      inside -= 1;
    };
    await Promise.all(Array.from({ length: 5 }, () => withFolderLock(lock(), work)));
    expect(most).toBe(1);
    expect(fs.existsSync(lock())).toBe(false);
  });

  test('a lock whose holder is gone is taken over', async () => {
    const child = spawn(process.execPath, ['--version'], { stdio: 'ignore' });
    await new Promise((resolve) => child.once('close', resolve));
    fs.writeFileSync(lock(), String(child.pid));
    await expect(withFolderLock(lock(), async () => 'done', { timeoutMs: 5_000 })).resolves.toBe('done');
  });

  test('a holder that stays is named', async () => {
    fs.writeFileSync(lock(), String(process.pid));
    const waited: number[] = [];
    const attempt = withFolderLock(lock(), async () => 'done', { timeoutMs: 0, onWait: (owner) => waited.push(owner) });
    await expect(attempt).rejects.toMatchObject({
      code: 'SCRIPT_LOCKED',
      message: expect.stringContaining(String(process.pid)),
    });
  });

  test('is released when the work throws', async () => {
    await expect(withFolderLock(lock(), async () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    await expect(withFolderLock(lock(), async () => 'next')).resolves.toBe('next');
  });
});
