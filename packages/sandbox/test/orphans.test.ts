import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { findCgroups } from '../src/cgroup/findCgroups.ts';
import { createFunctionDriver } from '../src/index.ts';
import { processName, processStartTime, processTree } from '../src/process/procFs.ts';
import { call, codeOf, never } from './calls.ts';
import { actorWorkload } from './functionWorkload.ts';
import { behindWalls, driverOptions } from './jails.ts';

const inheritedCgroups = findCgroups();
const base = mkdtempSync(join(tmpdir(), 'cloister-orphans-'));
afterAll(() => rmSync(base, { recursive: true, force: true }));
let count = 0;
const newRunDir = (): string => {
  count += 1;
  return join(base, `run-${count}`);
};

behindWalls((set) => {
  const options = driverOptions(set);
  describe('the end of a driver', () => {
    test('no process outlives a parent that is killed, and the next start cleans up after it', async () => {
      const runDir = newRunDir();
      const parent = spawn(
        process.execPath,
        [join(import.meta.dirname, 'orphanParent.ts'), runDir, options.jail ?? 'auto', String(options.cgroups)],
        { stdio: ['ignore', 'pipe', 'inherit'] },
      );
      const [line] = await once(parent.stdout, 'data');
      const { pids } = JSON.parse(String(line)) as { pids: number[] };
      expect(pids.length).toBeGreaterThanOrEqual(2);
      const born = new Map(pids.map((pid) => [pid, processStartTime(pid)]));
      parent.kill('SIGKILL');
      await once(parent, 'exit');
      const alive = (): number[] =>
        pids.filter((pid) => processStartTime(pid) === born.get(pid) && processName(pid) !== '');
      await expect.poll(alive, { timeout: 5000 }).toEqual([]);

      // What the killed parent left: its sockets here, and its groups in the kernel.
      expect(readdirSync(runDir).length).toBeGreaterThan(0);
      const driver = createFunctionDriver({ ...options, runDir, pooled: 0 });
      await driver.start({ signal: never });
      expect(readdirSync(runDir).filter((entry) => /^[0-9a-f]{12}/.test(entry))).toEqual([]);
      const tenant = await driver.open(actorWorkload(), { signal: never });
      expect((await call(tenant, '/echo')).outcome.status).toBe('ok');
      await driver.stop();
      expect(existsSync(runDir)).toBe(false);
    });

    test('a stop leaves no process', async () => {
      const driver = createFunctionDriver({ ...options, runDir: newRunDir(), pooled: 2 });
      await driver.start({ signal: never });
      const tenants = await Promise.all([1, 2].map(() => driver.open(actorWorkload(), { signal: never })));
      await Promise.all(tenants.map((tenant) => call(tenant, '/echo')));
      const before = processTree(process.pid).slice(1);
      expect(before.length).toBeGreaterThanOrEqual(2);
      await driver.stop();
      await expect
        .poll(() =>
          processTree(process.pid)
            .slice(1)
            .filter((pid) => before.includes(pid)),
        )
        .toEqual([]);
    });
  });
});

describe('the directory of a driver', () => {
  test('is of one driver only', async () => {
    const runDir = newRunDir();
    const [one, other] = [createFunctionDriver({ runDir, pooled: 0 }), createFunctionDriver({ runDir, pooled: 0 })];
    await one.start({ signal: never });
    expect(await codeOf(other.start({ signal: never }))).toBe('RUN_DIR_IN_USE');
    // The refused start has not touched what is there.
    const tenant = await one.open(actorWorkload(), { signal: never });
    expect((await call(tenant, '/echo')).outcome.status).toBe('ok');
    await one.stop();
    await other.start({ signal: never });
    await other.stop();
  });

  test.skipIf(process.platform !== 'linux')('may have a path that is too long for a socket', async () => {
    const driver = createFunctionDriver({ runDir: join(newRunDir(), 'x'.repeat(120)), pooled: 0 });
    await driver.start({ signal: never });
    const tenant = await driver.open(actorWorkload(), { signal: never });
    expect((await call(tenant, '/echo')).outcome.status).toBe('ok');
    await driver.stop();
  });
});

test.skipIf(inheritedCgroups === undefined)('groups of an owner that is gone are removed, others are not', async () => {
  const groups = findCgroups();
  const directory = groups?.create('x').joinFiles[0]?.replace(/\/x\/cgroup\.procs$/, '') ?? '';
  const place = join(directory, '..');
  const stale = join(place, 'cloister.4194305.1.00000000');
  mkdirSync(join(stale, 'child'), { recursive: true });
  // Looking for groups sweeps what the dead have left.
  const other = findCgroups();
  expect(existsSync(stale)).toBe(false);
  expect(existsSync(directory)).toBe(true);
  await Promise.all([groups?.remove(), other?.remove(), inheritedCgroups?.remove()]);
  expect(existsSync(directory)).toBe(false);
});
