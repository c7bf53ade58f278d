import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
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

/** Mounts everything in one go, in the new mount namespace. */
const setup = '"$1" --all --fstab "$2" || exit 94; shift 2; exec "$@"';

/**
 * A jail by util-linux alone (unshare(1), setpriv(1)): the same namespaces, and a root of empty directories and files onto
 * which the program and its libraries are mounted read-only. The kernel gives no user namespaces to a process in a changed
 * root (user_namespaces(7)), so code that broke out of its runtime can't gain capabilities in a new one.
 * Undefined where a program that it needs isn't installed.
 */
export async function namespacesJail(
  plan: JailPlan,
  tools: Tools,
  asRoot: boolean,
  signal: AbortSignal,
): Promise<Jail | undefined> {
  const { unshare, setpriv, mount, chroot, ldd, sh } = tools;
  if (!unshare || !setpriv || !mount || !chroot || !ldd || !sh) return undefined;
  const directories = Object.entries(plan.directories ?? {});
  const programs = [plan.executable, ...(plan.modules ?? []), setpriv];
  const libraries = await librariesOf(plan, ldd, programs, signal);
  const devices = plan.devices ?? [];
  const root = join(plan.scratchDir, 'root');
  await makeTemplate(root, [
    jailedExecutable,
    jailedSetpriv,
    ...(plan.filterFile === undefined ? [] : [jailedFilter]),
    ...plan.fileNames.map((name) => jailedPaths.file(name)),
    ...libraries,
    ...devices,
  ]);
  for (const [name] of directories) await mkdir(join(root, jailedPaths.file(name)), { recursive: true, mode: 0o755 });

  const readOnly = 'bind,ro,nosuid,nodev';
  const shared = [
    fstabLine(root, root, readOnly),
    ...libraries.map((library) => fstabLine(library, join(root, library), readOnly)),
    ...devices.map((device) => fstabLine(device, join(root, device), 'bind,nosuid,noexec')),
    fstabLine(plan.executable, join(root, jailedExecutable), readOnly),
    fstabLine(setpriv, join(root, jailedSetpriv), readOnly),
    ...(plan.filterFile === undefined ? [] : [fstabLine(plan.filterFile, join(root, jailedFilter), readOnly)]),
    ...directories.map(([name, path]) => fstabLine(path, join(root, jailedPaths.file(name)), readOnly)),
  ];
  return {
    name: 'namespaces',
    separatesUsers: asRoot,
    walls: {
      network: present('network namespace (unshare)'),
      filesystem: present('own root, read-only (unshare, chroot)'),
      systemCalls: systemCallsWall(plan),
      identity: asRoot
        ? present('a user id for each tenant (setpriv)')
        : missing('this process may not change users, so every tenant runs as its own', 'user namespace (unshare)'),
    },
    async command(process) {
      const own = [
        ...plan.fileNames.map((name) =>
          fstabLine(process.files[name] ?? '/dev/null', join(root, jailedPaths.file(name)), readOnly),
        ),
        fstabLine(process.runDir, join(root, jailedPaths.runDir), 'bind,nosuid,nodev,noexec'),
      ];
      const table = join(process.directory, 'fstab');
      await writeFile(table, `${[...shared, ...own].join('\n')}\n`, { mode: 0o600 });
      return [
        unshare,
        ...['--net', '--pid', '--fork', '--kill-child=KILL', '--mount', '--ipc', '--uts', '--cgroup'],
        ...(asRoot ? [] : ['--user', '--map-root-user']),
        ...[sh, '-c', setup, 'sh', mount, table],
        ...[chroot, root],
        ...dropPrivileges(process.identity),
        ...filtered(plan, process.args(jailedPaths)),
      ];
    },
  };
}

async function makeTemplate(root: string, files: readonly string[]): Promise<void> {
  for (const directory of ['', '/run', ...directoriesOf(files)]) {
    await mkdir(join(root, directory), { recursive: true, mode: 0o755 });
  }
  for (const file of files) {
    await mkdir(dirname(join(root, file)), { recursive: true, mode: 0o755 });
    await writeFile(join(root, file), '', { mode: 0o644 });
  }
}

/** One line of fstab(5), whose fields can't hold white space or backslashes as they are. */
function fstabLine(source: string, target: string, options: string): string {
  return `${escapeField(source)} ${escapeField(target)} none ${options} 0 0`;
}

function escapeField(text: string): string {
  return text.replace(/[\s\\#]/g, (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`);
}
