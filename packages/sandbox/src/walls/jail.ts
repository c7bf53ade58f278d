import type { Wall, WallReport } from '../sandbox.ts';
import type { Identity } from './identity.ts';

/** What every process of a driver sees, fixed when the walls are chosen. */
export type JailPlan = {
  /** The program, on the host. */
  readonly executable: string;
  /** Names of the host files that each process gets to see, read-only; a socket counts as a file. */
  readonly fileNames: readonly string[];
  /** Directories of the host that every process sees, read-only, by their names inside. */
  readonly directories?: Readonly<Record<string, string>>;
  /** Device files of the host that every process may use. Default: none. */
  readonly devices?: readonly string[];
  /** Libraries of the host that are loaded by name, beside those that the programs name. */
  readonly libraries?: readonly string[];
  /** Native modules that the program loads later: their shared libraries are seen too. */
  readonly modules?: readonly string[];
  /** On the host, the program that puts itself under a filter of system calls and becomes what follows it; undefined for none. */
  readonly filterFile?: string | undefined;
  /** Why there is none. */
  readonly filterMissing?: string;
  /** An empty directory of the driver that nobody else can enter. */
  readonly scratchDir: string;
};

/** What differs from process to process. */
export type JailedProcess = {
  /** The host's file for each name of the plan. */
  readonly files: Readonly<Record<string, string>>;
  /** A directory of the host for this process, which it can't see. */
  readonly directory: string;
  /** A directory of the host, of this process only, where it may make sockets. */
  readonly runDir: string;
  /** Whom it becomes; undefined where the jail can't change that. */
  readonly identity: Identity | undefined;
  readonly args: (inside: InsidePaths) => readonly string[];
};

/** Where things are, seen from inside. */
export type InsidePaths = { readonly runDir: string; readonly file: (name: string) => string };

/** A way to put a process behind walls. */
export interface Jail {
  readonly name: 'bubblewrap' | 'namespaces' | 'none';
  readonly walls: Pick<WallReport, 'network' | 'filesystem' | 'identity' | 'systemCalls'>;
  /** Whether each process gets a user id of its own. */
  readonly separatesUsers: boolean;
  /** The command that runs the program in the jail, as an unprivileged user without capabilities. */
  command(process: JailedProcess): Promise<readonly string[]>;
}

/** Paths inside jails that have a root of their own. */
export const jailedPaths: InsidePaths = { runDir: '/run', file: (name) => `/${name}` };
export const jailedExecutable = '/program';
export const jailedSetpriv = '/setpriv';
export const jailedFilter = '/filter';

/** The last step inside: another user, no groups, no capabilities now or later, dead when the parent dies. */
export function dropPrivileges(identity: Identity | undefined): string[] {
  return [
    jailedSetpriv,
    ...(identity === undefined ? [] : ['--reuid', `${identity.uid}`, '--regid', `${identity.gid}`, '--clear-groups']),
    '--no-new-privs',
    '--inh-caps=-all',
    '--bounding-set=-all',
    // After the change of user, which clears it (prctl(2), PR_SET_PDEATHSIG).
    '--pdeathsig',
    'KILL',
    '--',
  ];
}

/** The program with its arguments, under the filter where there is one: it holds from the program's first instruction on. */
export function filtered({ filterFile }: JailPlan, args: readonly string[]): string[] {
  return [...(filterFile === undefined ? [] : [jailedFilter]), jailedExecutable, ...args];
}

/** The directories that must exist for these files, outermost first. */
export function directoriesOf(files: readonly string[]): string[] {
  const directories = new Set<string>();
  for (const file of files) {
    const parts = file.split('/').slice(1, -1);
    for (let length = 1; length <= parts.length; length += 1) directories.add(`/${parts.slice(0, length).join('/')}`);
  }
  return [...directories].sort((a, b) => a.length - b.length);
}

export const present = (by: string): Wall => ({ present: true, by });
export const missing = (missingReason: string, by = 'nothing'): Wall => ({ present: false, by, missingReason });

export function systemCallsWall({ filterFile, filterMissing = 'unknown' }: JailPlan): Wall {
  return filterFile === undefined ? missing(filterMissing) : present('seccomp filter');
}
