import { join } from 'node:path';
import type { Cgroup, CgroupParent } from './cgroup.ts';
import {
  CounterFile,
  ownedGroupName,
  readKeyed,
  readLines,
  removeGroups,
  removeStaleGroups,
  tryMakeDirectory,
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
  if (bases.size === 0) return undefined;
  return {
    version: 1,
    controllers: { memory: bases.has('memory'), pids: bases.has('pids'), cpu: bases.has('cpu') },
    create: (child) => createGroup(bases, child),
    remove: () => removeGroups([...new Set(bases.values())]),
  };
}

function createGroup(bases: ReadonlyMap<string, string>, name: string): Cgroup {
  const groups = new Map([...bases].map(([controller, base]) => [controller, join(base, name)] as const));
  const directories = [...new Set(groups.values())];
  for (const directory of directories) tryMakeDirectory(directory);
  const inGroup = (controller: string, file: string): string => join(groups.get(controller) ?? '/nonexistent', file);

  const cpu = new CounterFile(inGroup('cpuacct', 'cpuacct.usage'));
  const peak = new CounterFile(inGroup('memory', 'memory.max_usage_in_bytes'));
  return {
    joinFiles: directories.map((directory) => join(directory, 'cgroup.procs')),
    limit(limits) {
      tryWrite(inGroup('memory', 'memory.limit_in_bytes'), String(limits.memoryBytes));
      // Counts memory and swap together; there is no such file where swap isn't accounted.
      tryWrite(inGroup('memory', 'memory.memsw.limit_in_bytes'), String(limits.memoryBytes));
      tryWrite(inGroup('memory', 'memory.swappiness'), '0');
      tryWrite(inGroup('pids', 'pids.max'), String(limits.pids));
      tryWrite(inGroup('cpu', 'cpu.cfs_period_us'), String(cpuPeriodMicroseconds));
      tryWrite(inGroup('cpu', 'cpu.cfs_quota_us'), String(Math.ceil(limits.cpus * cpuPeriodMicroseconds)));
    },
    cpuNanoseconds: () => cpu.read(),
    peakMemoryBytes: () => peak.read(),
    memoryKills: () => readKeyed(inGroup('memory', 'memory.oom_control'), 'oom_kill'),
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
