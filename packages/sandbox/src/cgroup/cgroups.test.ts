import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { openCgroupV1 } from './cgroupV1.ts';
import { openCgroupV2 } from './cgroupV2.ts';
import { parseCgroupPlace } from './findCgroups.ts';

describe('where the groups are', () => {
  const hybrid = `29 23 0:25 / /sys/fs/cgroup rw - tmpfs tmpfs rw
30 29 0:26 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
31 29 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
32 29 0:28 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
33 29 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw`;

  test('version 1, with controllers mounted together', () => {
    expect(parseCgroupPlace('9:memory:/a/b\n8:pids:/\n3:cpuacct,cpu:/c\n0::/', hybrid)).toEqual({
      v1: {
        memory: '/sys/fs/cgroup/memory/a/b',
        pids: '/sys/fs/cgroup/pids',
        cpu: '/sys/fs/cgroup/cpu,cpuacct/c',
        cpuacct: '/sys/fs/cgroup/cpu,cpuacct/c',
      },
      v2: { own: '/sys/fs/cgroup/unified', mountPoint: '/sys/fs/cgroup/unified' },
    });
  });

  test('version 2', () => {
    const mounts = '30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate';
    expect(parseCgroupPlace('0::/system.slice/worker.service', mounts)).toEqual({
      v1: {},
      v2: { own: '/sys/fs/cgroup/system.slice/worker.service', mountPoint: '/sys/fs/cgroup' },
    });
  });

  test('a container that sees a part of the tree only', () => {
    const mounts = '30 23 0:26 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory';
    expect(parseCgroupPlace('4:memory:/docker/abc/x', mounts).v1).toEqual({ memory: '/sys/fs/cgroup/memory/x' });
    expect(parseCgroupPlace('4:memory:/docker/abc', mounts).v1).toEqual({ memory: '/sys/fs/cgroup/memory' });
  });

  test('nothing, where there is nothing', () => {
    expect(parseCgroupPlace('', '')).toEqual({ v1: {} });
  });
});

/** Stands in for the kernel's tree: the files of a group are there when they are needed, but nobody acts on them. */
describe('what is written', () => {
  const root = mkdtempSync(join(tmpdir(), 'cloister-cgroup-'));
  afterEach(() => rmSync(root, { recursive: true, force: true }));
  const files = (directory: string, names: readonly string[]): void => {
    mkdirSync(directory, { recursive: true });
    for (const name of names) writeFileSync(join(directory, name), '');
  };

  test('version 2', async () => {
    const parent = join(root, 'slice', 'own');
    files(parent, ['cgroup.subtree_control']);
    // A file system without a kernel behind it has no controllers.
    expect(openCgroupV2(parent, root)).toBeUndefined();
    expect(readFileSync(join(parent, 'cgroup.subtree_control'), 'utf8')).toContain('+cpu');
  });

  test('version 1: directories without a kernel behind them are left as they were', () => {
    const directories = { memory: join(root, 'memory'), pids: join(root, 'pids') };
    for (const directory of Object.values(directories)) mkdirSync(directory, { recursive: true });
    expect(openCgroupV1(directories)).toBeUndefined();
    expect(readdirSync(directories.memory)).toEqual([]);
  });

  test('nothing, where no directory can be made', () => {
    expect(openCgroupV1({ memory: join(root, 'not', 'there') })).toBeUndefined();
    expect(openCgroupV2(join(root, 'not', 'there'), root)).toBeUndefined();
  });
});
