import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Cgroup, CgroupControllers, CgroupParent } from './cgroup.ts';
import {
  CounterFile,
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

const cpuPeriodMicroseconds = 100_000;
const wanted = ['memory', 'pids', 'cpu'] as const;

/**
 * Groups of version 2. A group with processes can't hand controllers on to groups below it (the kernel's "no internal
 * processes" rule, Documentation/admin-guide/cgroup-v2.rst), so where that is so ours are made beside our own group.
 * Undefined where neither is allowed.
 */
export function openCgroupV2(ownDirectory: string, mountPoint: string): CgroupParent | undefined {
  const isTop = ownDirectory === mountPoint;
  if (isTop) makeRoomAtTop(ownDirectory);
  const places = isTop ? [ownDirectory] : [ownDirectory, dirname(ownDirectory)];
  for (const place of places) {
    removeStaleGroups(place);
    const base = join(place, ownedGroupName());
    if (!tryMakeDirectory(base)) continue;
    const controllers = handControllersDown(place, base);
    if (controllers.memory || controllers.pids) return parentAt(base, controllers);
    tryRemoveDirectory(base);
  }
  return undefined;
}

/**
 * In a container the top of the tree that it sees is its own group, and all its processes are in it. They are moved one
 * level down, as an init system would do: there they are under the same limits as before, and the top can hand controllers
 * on. The top of the whole machine has no "cgroup.type", and needs none of this.
 */
function makeRoomAtTop(top: string): void {
  if (!existsSync(join(top, 'cgroup.type'))) return;
  const room = join(top, 'cloister-init');
  tryMakeDirectory(room);
  // Processes may be started meanwhile.
  for (let attempt = 0; attempt < 5; attempt += 1) {
    const processes = readLines(join(top, 'cgroup.procs'));
    if (processes.length === 0) return;
    for (const id of processes) tryWrite(join(room, 'cgroup.procs'), id);
  }
}

function handControllersDown(place: string, base: string): CgroupControllers {
  for (const controller of wanted) {
    tryWrite(join(place, 'cgroup.subtree_control'), `+${controller}`);
    tryWrite(join(base, 'cgroup.subtree_control'), `+${controller}`);
  }
  const probe = join(base, 'probe');
  tryMakeDirectory(probe);
  const controllers = {
    memory: existsSync(join(probe, 'memory.max')),
    pids: existsSync(join(probe, 'pids.max')),
    cpu: existsSync(join(probe, 'cpu.max')),
  };
  tryRemoveDirectory(probe);
  return controllers;
}

function parentAt(base: string, controllers: CgroupControllers): CgroupParent {
  return {
    version: 2,
    controllers,
    base,
    create: (name) => createGroup(join(base, name), controllers),
    remove: () => removeGroups([base]),
  };
}

function createGroup(directory: string, controllers: CgroupControllers): Cgroup {
  tryMakeDirectory(directory);
  const file = (name: string): string => join(directory, name);
  const peak = new CounterFile(file('memory.peak'));
  return {
    joinFiles: [file('cgroup.procs')],
    limit({ memoryBytes, pids, cpus }) {
      if (controllers.memory) {
        mustWrite(file('memory.max'), String(memoryBytes));
        tryWrite(file('memory.swap.max'), '0');
        tryWrite(file('memory.oom.group'), '1');
      }
      if (controllers.pids) mustWrite(file('pids.max'), String(pids));
      const quota = `${Math.ceil(cpus * cpuPeriodMicroseconds)} ${cpuPeriodMicroseconds}`;
      if (controllers.cpu) mustWrite(file('cpu.max'), quota);
    },
    limitMemory(bytes) {
      if (controllers.memory) mustWrite(file('memory.max'), String(bytes));
    },
    cpuNanoseconds: () => readKeyed(file('cpu.stat'), 'usage_usec') * 1000,
    peakMemoryBytes: () => peak.read(),
    memoryKills: () => readKeyed(file('memory.events'), 'oom_kill'),
    pidsRefused: () => readKeyed(file('pids.events'), 'max'),
    processIds: () => readLines(file('cgroup.procs')).map(Number),
    async remove() {
      peak.close();
      tryWrite(file('cgroup.kill'), '1');
      await removeGroups([directory]);
    },
  };
}
