import type { CgroupControllers } from '../cgroup/cgroup.ts';
import type { WallReport } from '../sandbox.ts';
import { type Jail, missing, present } from './jail.ts';

/** All walls of a driver: those of its jail, and those of the limits around it. */
export function wallReport(
  jail: Jail,
  controllers: CgroupControllers | undefined,
  limits: { readonly dataLimit: boolean; readonly prlimit: boolean },
): WallReport {
  const noGroup = 'no control group can be made here';
  return {
    ...jail.walls,
    memory: memoryWall(),
    pids: pidsWall(),
    cpu: controllers?.cpu ? present('cgroup') : missing(`${noGroup}; wall-clock limits still hold`, 'wall clock'),
  };

  function memoryWall() {
    if (controllers?.memory) return present('cgroup');
    if (limits.dataLimit) return present('RLIMIT_DATA for each process, and a watchdog');
    return process.platform === 'linux'
      ? missing(`${noGroup}; a watchdog may be late`, 'heap limit and watchdog')
      : missing('only Linux tells how much memory another process holds', 'heap limit');
  }

  function pidsWall() {
    if (controllers?.pids) return present('cgroup');
    if (jail.separatesUsers && limits.prlimit) return present('RLIMIT_NPROC for a user of its own');
    return missing(`${noGroup}, and tenants share a user`);
  }
}
