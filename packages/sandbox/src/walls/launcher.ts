import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { promisify } from 'node:util';
import { SandboxError } from '../sandboxError.ts';
import type { Tools } from './tools.ts';

const run = promisify(execFile);

/** A process that is ready to become a command, and does nothing until then. */
export interface Seat {
  /** Becomes the command, with no input, and with standard output, standard error and descriptor 3 as pipes. */
  run(command: readonly string[]): ChildProcess;
  /** Whether it can still become one. */
  readonly usable: boolean;
  discard(): void;
}

/** Prepares processes that die with this one, inherit nothing else, and belong to the control groups of these files. */
export type Launcher = { readonly prepare: (joinFiles: readonly string[]) => Seat };

/**
 * What a seat does. A parent that died before the death signal was set would never be noticed, hence the first line; node
 * marks its own descriptors as not to be inherited, but not all that it inherited itself. To join a control group takes
 * some 10 ms, for which the kernel has to wait for all processors: that is why a seat is taken before it is needed.
 */
const script = `
[ "$PPID" = "$1" ] || exit 96
for fd in $2; do eval "exec $fd>&-"; done
shift 2
while [ "$#" -gt 0 ]; do echo $$ > "$1" || exit 95; shift; done
while IFS= read -r word; do set -- "$@" "$word"; done
[ "$#" -gt 0 ] || exit 94
exec "$@" < /dev/null
`;

export async function createLauncher(tools: Tools, signal: AbortSignal): Promise<Launcher> {
  const { setpriv, sh } = tools;
  if (setpriv === undefined || sh === undefined) return { prepare: directSeat };
  const leaked = await inheritedDescriptors(sh, signal);
  // A plain shell may know descriptors of one digit only. Bash would read the user's start-up files, as its input looks to
  // it like that of a remote shell.
  const needsBash = tools.bash !== undefined && leaked.some((descriptor) => descriptor > 9);
  const shell = needsBash ? [tools.bash, '--noprofile', '--norc'] : [sh];
  const prefix = ['--pdeathsig', 'KILL', ...shell, '-c', script, 'sh', `${process.pid}`, leaked.join(' ')];
  return { prepare: (joinFiles) => waitingSeat(open(setpriv, [...prefix, ...joinFiles], 'pipe')) };
}

function waitingSeat(child: ChildProcess): Seat {
  const { stdin } = child;
  // A seat that has ended says so when it is used.
  stdin?.on('error', () => {});
  return {
    get usable() {
      return child.pid !== undefined && child.exitCode === null && child.signalCode === null;
    },
    run(command) {
      const odd = command.find((word) => /[\n\0]/.test(word));
      if (odd !== undefined) {
        child.kill('SIGKILL');
        throw new SandboxError({
          code: 'START_FAILED',
          message: `The path or argument "${odd.slice(0, 300)}" has a line break`,
          hint: 'Choose directories whose names are plain',
        });
      }
      stdin?.end(`${command.join('\n')}\n`);
      return child;
    },
    discard: () => void child.kill('SIGKILL'),
  };
}

/** For systems where a process can't be tied to its parent. */
function directSeat(): Seat {
  return {
    usable: true,
    run: ([file = '', ...args]) => open(file, args, 'ignore'),
    discard() {},
  };
}

function open(file: string, args: readonly string[], stdin: 'pipe' | 'ignore'): ChildProcess {
  // A group of its own: an interrupt from the terminal must reach the owner first.
  return spawn(file, args, { stdio: [stdin, 'pipe', 'pipe', 'pipe'], env: {}, cwd: '/', detached: true });
}

/** Limits that the kernel keeps for each process by itself (getrlimit(2)). */
export type ResourceLimits = {
  readonly openFiles: number;
  /** Processes and threads of the user; only where each process has a user id of its own. */
  readonly processes?: number;
  /** Private writable address space. */
  readonly dataBytes?: number;
};

/** What to put before a command so that it runs under the limits; nothing where that can't be done. */
export function limitCommand({ prlimit }: Tools, limits: ResourceLimits): string[] {
  if (prlimit === undefined) return [];
  return [
    prlimit,
    // No core dump, which would be the tenant's memory in a file. A limit of 0 keeps one from files alone: where the system hands dumps
    // to a program (core(5), "|" in core_pattern) it takes them whatever the limit is, but for one of 1 byte.
    '--core=1',
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
  const list = 'for fd in /proc/$$/fd/*; do echo "$' + '{fd##*/}"; done';
  const { stdout } = await run(sh, ['-c', list], { signal, env: {}, timeout: 10_000 }).catch(() => ({ stdout: '' }));
  return stdout
    .split('\n')
    .map(Number)
    .filter((descriptor) => Number.isSafeInteger(descriptor) && descriptor > 3);
}
