import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { promisify } from 'node:util';
import type { Tools } from './tools.ts';

const run = promisify(execFile);

/** Limits that the kernel keeps for each process by itself (getrlimit(2)). */
export type ResourceLimits = {
  readonly openFiles: number;
  /** Processes and threads of the user; only where each process has a user id of its own. */
  readonly processes?: number;
  /** Private writable address space. */
  readonly dataBytes?: number;
};

export type LaunchOptions = {
  readonly limits: ResourceLimits;
  /** Control groups to join before anything else. */
  readonly joinFiles: readonly string[];
};

/** Starts a command that dies with this process, with nothing inherited but standard output, standard error and descriptor 3. */
export type Launcher = (command: readonly string[], options: LaunchOptions) => ChildProcess;

/**
 * Runs in the child before the command. A parent that died before the death signal was set would never be noticed, hence
 * the first line; node marks its own descriptors as not to be inherited, but not all that it inherited itself.
 */
const prologue = `
[ "$PPID" = "$1" ] || exit 96
for fd in $2; do eval "exec $fd>&-"; done
shift 2
while [ "$1" != -- ]; do echo $$ > "$1" || exit 95; shift; done
shift
exec "$@"
`;

export async function createLauncher(tools: Tools, signal: AbortSignal): Promise<Launcher> {
  const { setpriv, prlimit, sh } = tools;
  if (setpriv === undefined || sh === undefined) return (command) => start(command);
  const leaked = await inheritedDescriptors(sh, signal);
  // A plain shell may know descriptors of one digit only.
  const shell = leaked.some((descriptor) => descriptor > 9) ? (tools.bash ?? sh) : sh;
  return (command, { limits, joinFiles }) =>
    start([
      ...[setpriv, '--pdeathsig', 'KILL', shell, '-c', prologue, 'sh'],
      ...[`${process.pid}`, leaked.join(' '), ...joinFiles, '--'],
      ...(prlimit === undefined ? [] : [prlimit, ...limitArguments(limits)]),
      ...command,
    ]);
}

function start(command: readonly string[]): ChildProcess {
  const [file = '', ...args] = command;
  // A group of its own: an interrupt from the terminal must reach the owner first.
  return spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe', 'pipe'], env: {}, cwd: '/', detached: true });
}

function limitArguments(limits: ResourceLimits): string[] {
  return [
    '--core=0',
    // No file can be written to, wherever it is; sockets and pipes are no files.
    '--fsize=0',
    `--nofile=${limits.openFiles}`,
    ...(limits.processes === undefined ? [] : [`--nproc=${limits.processes}`]),
    ...(limits.dataBytes === undefined ? [] : [`--data=${limits.dataBytes}`]),
    '--',
  ];
}

/** Descriptors above 3 that a child of this process would have without its doing. */
async function inheritedDescriptors(sh: string, signal: AbortSignal): Promise<number[]> {
  const script = 'for fd in /proc/$$/fd/*; do echo "$' + '{fd##*/}"; done';
  const { stdout } = await run(sh, ['-c', script], { signal, env: {}, timeout: 10_000 }).catch(() => ({ stdout: '' }));
  return stdout
    .split('\n')
    .map(Number)
    .filter((descriptor) => Number.isSafeInteger(descriptor) && descriptor > 3);
}
