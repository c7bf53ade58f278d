import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Cgroup, CgroupControllers, CgroupParent } from './cgroup.ts';
import {
  CounterFile,
  childDirectories,
  mustWrite,
  ownedGroupName,
  readKeyed,
  readLines,
  removeGroups,
  removeStaleGroups,
  tryMakeDirectory,
  tryRemoveDirectory,
  tryWrite,
} from './groupFiles.ts';

/** The directories of this process's own group, one for each controller of version 1 that we use. */
export type V1Directories = { readonly [Controller in 'memory' | 'pids' | 'cpu' | 'cpuacct']?: string };

const cpuPeriodMicroseconds = 100_000;

/** Groups of version 1: each controller has a tree of its own. Undefined where no group can be made. */
export function openCgroupV1(own: V1Directories): CgroupParent | undefined {
  const name = ownedGroupName();
  const bases = new Map<string, string>();
  for (const [controller, directory] of Object.entries(own)) {
    removeStaleGroups(directory);
    const base = join(directory, name);
    // Controllers mounted together share the directory.
    if (bases.size > 0 && [...bases.values()].includes(base)) bases.set(controller, base);
    else if (tryMakeDirectory(base)) bases.set(controller, base);
  }
  const has = (controller: string, file: string): boolean =>
    existsSync(join(bases.get(controller) ?? '/nonexistent', file));
  const controllers = {
    memory: has('memory', 'memory.limit_in_bytes'),
    pids: has('pids', 'pids.max'),
    cpu: has('cpu', 'cpu.cfs_quota_us'),
  };
  if (!controllers.memory && !controllers.pids) {
    for (const base of new Set(bases.values())) tryRemoveDirectory(base);
    return undefined;
  }
  return {
    version: 1,
    controllers,
    base: bases.get('memory') ?? '',
    create: (child) => createGroup(bases, controllers, child),
    remove: () => removeGroups([...new Set(bases.values())]),
  };
}

function oomKillsIn(directory: string): number {
  const own = readKeyed(join(directory, 'memory.oom_control'), 'oom_kill');
  return childDirectories(directory).reduce((sum, child) => sum + oomKillsIn(join(directory, child)), own);
}

function createGroup(bases: ReadonlyMap<string, string>, controllers: CgroupControllers, name: string): Cgroup {
  const groups = new Map([...bases].map(([controller, base]) => [controller, join(base, name)] as const));
  const directories = [...new Set(groups.values())];
  for (const directory of directories) tryMakeDirectory(directory);
  const inGroup = (controller: string, file: string): string => join(groups.get(controller) ?? '/nonexistent', file);

  const limitMemory = (bytes: number): void => {
    mustWrite(inGroup('memory', 'memory.limit_in_bytes'), String(bytes));
    // Counts memory and swap together; there is no such file where swap isn't accounted.
    tryWrite(inGroup('memory', 'memory.memsw.limit_in_bytes'), String(bytes));
    tryWrite(inGroup('memory', 'memory.swappiness'), '0');
  };
  const cpu = new CounterFile(inGroup('cpuacct', 'cpuacct.usage'));
  const peak = new CounterFile(inGroup('memory', 'memory.max_usage_in_bytes'));
  return {
    joinFiles: directories.map((directory) => join(directory, 'cgroup.procs')),
    limit({ memoryBytes, pids, cpus }) {
      if (controllers.memory) limitMemory(memoryBytes);
      if (controllers.pids) mustWrite(inGroup('pids', 'pids.max'), String(pids));
      if (!controllers.cpu) return;
      mustWrite(inGroup('cpu', 'cpu.cfs_period_us'), String(cpuPeriodMicroseconds));
      mustWrite(inGroup('cpu', 'cpu.cfs_quota_us'), String(Math.ceil(cpus * cpuPeriodMicroseconds)));
    },
    limitMemory(bytes) {
      if (controllers.memory) limitMemory(bytes);
    },
    cpuNanoseconds: () => cpu.read(),
    peakMemoryBytes: () => peak.read(),
    // Counted where the process was, which may be a group below that an engine made.
    memoryKills: () => oomKillsIn(inGroup('memory', '')),
    pidsRefused: () => readKeyed(inGroup('pids', 'pids.events'), 'max'),
    processIds: () => [
      ...new Set(directories.flatMap((directory) => readLines(join(directory, 'cgroup.procs')).map(Number))),
    ],
    async remove() {
      cpu.close();
      peak.close();
      await removeGroups(directories);
    },
  };
}
