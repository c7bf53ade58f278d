import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, readlinkSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { findFreezers } from '../../src/cgroup/freezer.ts';
import { ContainerDriver } from '../../src/index.ts';
import { archive, folder, options, removeFolder, sleepArchive, started } from './engine.ts';
import { hostileContainers } from './hostileContainers.ts';

vi.setConfig({ testTimeout: 240_000, hookTimeout: 120_000 });
const isLong = process.env.CLOISTER_LONG === '1';

if (typeof started === 'string') test.skip(`containers: in gVisor: ${started}`, () => {});
else {
  const driver = started;
  afterAll(async () => {
    await driver.stop();
    await removeFolder();
  });

  describe('the walls of containers in gVisor', () => {
    test('all stand, and receipts name it', () => {
      expect(Object.entries(driver.walls).filter(([, wall]) => !wall.present)).toEqual([]);
      expect([driver.engine.runtime, driver.withoutGvisor]).toEqual(['runsc', undefined]);
    });

    if (isLong) test('what a killed worker leaves, held or not, is gone at the next start', whatAKilledWorkerLeaves);
  });

  if (isLong) hostileContainers(driver, archive);
}

async function whatAKilledWorkerLeaves(): Promise<void> {
  const [runDir, storageDir, temporary] = ['run', 'storage', 'tmp'].map((name) => join(folder, name)) as Paths;
  mkdirSync(temporary);
  vi.stubEnv('TMPDIR', temporary);
  const script = join(import.meta.dirname, 'orphanWorker.ts');
  const child = spawn(process.execPath, [script, runDir, storageDir, await sleepArchive(), 'true'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const pids = JSON.parse(String(await new Promise((resolve) => child.stdout.once('data', resolve)))) as number[];
  // In user namespaces that nobody else is in: none of them may trace another, or the worker.
  const spaces = [process.pid, ...pids].map((pid) => readlinkSync(`/proc/${pid}/ns/user`));
  expect(new Set(spaces).size).toBe(3);
  const kept = pids.filter((pid) => read(`/proc/${pid}/cmdline`).includes(`--root=${storageDir}/`));
  expect(kept).toHaveLength(1);
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await ended;
  const [group = ''] = /^\d+:(?:freezer)?:(\/.+)$/m.exec(read(`/proc/${kept[0]}/cgroup`))?.slice(1) ?? [];
  expect(findFreezers()?.(group).freeze()).toBe(true);

  // Nobody is to be taken for lost who has only just begun.
  const [abandoned = ''] = readdirSync(temporary).filter((name) => name.startsWith('cloister-engine-'));
  utimesSync(join(temporary, abandoned), 0, 0);
  const next = [new ContainerDriver(options({ storageDir, runDir })), new ContainerDriver(options())];
  await Promise.all(next.map((each) => each.start({ signal: new AbortController().signal })));
  const left = () => pids.filter((pid) => read(`/proc/${pid}/cmdline`).startsWith('runsc'));
  await expect.poll(left).toEqual([]);
  await Promise.all(next.map((each) => each.stop()));
  expect(readdirSync(temporary)).toEqual([]);
  vi.unstubAllEnvs();
}

type Paths = [runDir: string, storageDir: string, temporary: string];

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
