import {
  directoriesOf,
  dropPrivileges,
  filtered,
  type Jail,
  type JailPlan,
  jailedExecutable,
  jailedFilter,
  jailedPaths,
  jailedSetpriv,
  missing,
  present,
  systemCallsWall,
} from './jail.ts';
import { librariesOf } from './sharedLibraries.ts';
import type { Tools } from './tools.ts';

/**
 * A jail by bubblewrap (bwrap(1)): a root of its own with nothing in it but the program and its libraries, read-only.
 * Run by root, bubblewrap builds it with root's rights and `setpriv` gives them up inside; run by anybody else, it uses a
 * user namespace. Undefined where a program that it needs isn't installed.
 */
export async function bubblewrapJail(
  plan: JailPlan,
  tools: Tools,
  asRoot: boolean,
  signal: AbortSignal,
): Promise<Jail | undefined> {
  const { bwrap, setpriv, ldd } = tools;
  if (bwrap === undefined || ldd === undefined || (asRoot && setpriv === undefined)) return undefined;
  const programs = [plan.executable, ...(plan.modules ?? []), ...(asRoot && setpriv !== undefined ? [setpriv] : [])];
  const libraries = await librariesOf(plan, ldd, programs, signal);
  const devices = plan.devices ?? [];

  const root = [
    ...['--die-with-parent', '--new-session', '--clearenv'],
    ...['--unshare-net', '--unshare-pid', '--unshare-ipc', '--unshare-uts', '--unshare-cgroup-try'],
    ...(asRoot
      ? ['--cap-drop', 'ALL', '--cap-add', 'CAP_SETUID', '--cap-add', 'CAP_SETGID', '--cap-add', 'CAP_SETPCAP']
      : ['--unshare-user', '--uid', '65534', '--gid', '65534', '--cap-drop', 'ALL']),
    ...['--tmpfs', '/'],
    // Bubblewrap makes the directories it needs for root alone.
    ...directoriesOf([...libraries, ...devices]).flatMap((directory) => ['--perms', '0755', '--dir', directory]),
    ...libraries.flatMap((library) => ['--ro-bind', library, library]),
    ...devices.flatMap((device) => ['--dev-bind', device, device]),
    ...['--ro-bind', plan.executable, jailedExecutable],
    ...Object.entries(plan.directories ?? {}).flatMap(([name, path]) => ['--ro-bind', path, jailedPaths.file(name)]),
    ...(asRoot && setpriv !== undefined ? ['--ro-bind', setpriv, jailedSetpriv] : []),
    ...(plan.filterFile === undefined ? [] : ['--ro-bind', plan.filterFile, jailedFilter]),
  ];
  return {
    name: 'bubblewrap',
    separatesUsers: asRoot,
    walls: {
      network: present('network namespace (bubblewrap)'),
      filesystem: present('own root, read-only (bubblewrap)'),
      systemCalls: systemCallsWall(plan),
      identity: asRoot
        ? present('a user id for each tenant (setpriv)')
        : missing('this process may not change users, so every tenant runs as its own', 'user namespace (bubblewrap)'),
    },
    command: async (process) => [
      bwrap,
      ...root,
      ...plan.fileNames.flatMap((name) => ['--ro-bind', process.files[name] ?? '/dev/null', jailedPaths.file(name)]),
      ...['--bind', process.runDir, jailedPaths.runDir, '--remount-ro', '/', '--chdir', '/', '--'],
      ...(asRoot ? dropPrivileges(process.identity) : []),
      ...filtered(plan, process.args(jailedPaths)),
    ],
  };
}
