import type { ChildProcess } from 'node:child_process';
import { chmod, chown, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import type { Cgroup } from '../cgroup/cgroup.ts';
import { SandboxError } from '../sandboxError.ts';
import type { IdentityPool } from '../walls/identity.ts';
import type { InsidePaths, Jail } from '../walls/jail.ts';
import { limitCommand } from '../walls/launcher.ts';
import type { Tools } from '../walls/tools.ts';
import type { ProcessExit } from './processExit.ts';
import { cpuNanoseconds, processTree, residentBytes } from './procFs.ts';
import type { Confined } from './runtimeProcess.ts';
import type { SeatPool } from './seatPool.ts';

/** What the processes of a driver have in common. */
export type Surroundings = {
  readonly jail: Jail;
  readonly tools: Tools;
  readonly seats: SeatPool;
  readonly identities: IdentityPool;
};

export type ConfinedProcessOptions = {
  /** A directory of the host for this process, made here and removed at the end. Its last part names the process. */
  readonly directory: string;
  readonly files: Readonly<Record<string, string>>;
  readonly args: (inside: InsidePaths) => readonly string[];
  readonly limits: {
    readonly memoryBytes: number;
    readonly pids: number;
    readonly cpus: number;
    readonly openFiles: number;
    /** A limit on private address space, for where no control group limits memory. */
    readonly dataBytes?: number;
  };
};

/** One process behind walls, with all that it starts. It ends when told, when this process ends, or by itself. */
export class ConfinedProcess implements Confined {
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** What the program writes to descriptor 3. */
  readonly control: Readable;
  /** Settles when the process and everything in its jail is gone. Never rejects. */
  readonly exited: Promise<ProcessExit>;
  /** Settles when, after that, its directory and its control group are removed. Never rejects. */
  readonly removed: Promise<void>;
  /** The directory where the program makes its sockets, on the host. */
  readonly runDir: string;
  readonly #child: ChildProcess;
  readonly #cgroup: Cgroup | undefined;
  readonly #hasOwnUser: boolean;
  #peakResidentBytes = 0;
  #programPid: number | undefined;
  #ended = false;
  #killed = false;
  #finalCpuNanoseconds = 0;
  #paused = false;

  private constructor(child: ChildProcess, cgroup: Cgroup | undefined, directory: string, hasOwnUser: boolean) {
    const { stdout, stderr } = child;
    const control = child.stdio[3];
    if (stdout === null || stderr === null || control === null || control === undefined || !('read' in control))
      throw new SandboxError({ code: 'PROCESS_FAILED', message: 'The process has no output', retry: true });
    this.stdout = stdout;
    this.stderr = stderr;
    this.control = control;
    this.runDir = join(directory, 'run');
    this.#child = child;
    this.#cgroup = cgroup;
    this.#hasOwnUser = hasOwnUser;
    this.exited = new Promise((resolve) => {
      const finish = (code: number | null, signal: NodeJS.Signals | null): void => {
        if (this.#ended) return;
        // The group's figures go with the group.
        this.#finalCpuNanoseconds = this.cpuNanoseconds();
        this.#peakResidentBytes = this.peakMemoryBytes();
        const exit = {
          code,
          signal,
          outOfMemory: (cgroup?.memoryKills() ?? 0) > 0,
          outOfPids: (cgroup?.pidsRefused() ?? 0) > 0,
        };
        // The outermost process is gone; whatever is left of its jail goes now.
        this.kill();
        this.#ended = true;
        // What it said last is still in the pipes.
        const late = setTimeout(() => resolve(exit), 500);
        child.once('close', () => {
          clearTimeout(late);
          resolve(exit);
        });
      };
      child.once('exit', finish);
      child.once('error', () => finish(null, null));
    });
    this.removed = this.exited.then(() => cleanUp(cgroup, directory));
  }

  static async start(surroundings: Surroundings, options: ConfinedProcessOptions): Promise<ConfinedProcess> {
    const { jail, tools, seats, identities } = surroundings;
    const { directory, limits } = options;
    const runDir = join(directory, 'run');
    await mkdir(runDir, { recursive: true, mode: 0o700 });
    const identity = jail.separatesUsers ? identities.take() : undefined;
    if (identity !== undefined) await chown(runDir, identity.uid, identity.gid);
    const command = await jail.command({ directory, files: options.files, runDir, identity, args: options.args });
    const resources = {
      openFiles: limits.openFiles,
      ...(identity === undefined ? {} : { processes: limits.pids }),
      ...(limits.dataBytes === undefined ? {} : { dataBytes: limits.dataBytes }),
    };
    const { seat, cgroup } = seats.take();
    try {
      cgroup?.limit(limits);
      const child = seat.run([...limitCommand(tools, resources), ...command]);
      return new ConfinedProcess(child, cgroup, directory, identity !== undefined);
    } catch (error) {
      seat.discard();
      await cleanUp(cgroup, directory);
      throw error;
    }
  }

  /** Has ended, or is about to because it was killed: nothing can be asked of it any more. */
  get ended(): boolean {
    return this.#ended || this.#killed;
  }

  /** The program itself, inside all its wrappings. */
  get programPid(): number | undefined {
    if (this.#programPid === undefined && this.#child.pid !== undefined)
      this.#programPid = processTree(this.#child.pid).at(-1);
    return this.#programPid;
  }

  /**
   * Takes back the right to make files in the directory of its sockets, to be called when those are there: empty files and
   * directories fill a disk too, and no limit on a process counts them. Where tenants run as this process's own user, nothing
   * keeps them from it.
   */
  async closeRunDir(): Promise<void> {
    if (!this.#hasOwnUser) return;
    await chown(this.runDir, process.getuid?.() ?? 0, process.getgid?.() ?? 0);
    await chmod(this.runDir, 0o711);
  }

  /** Lowers what all processes of the jail may hold, where a control group keeps that. */
  limitMemory(bytes: number): void {
    this.#cgroup?.limitMemory(bytes);
  }

  cpuNanoseconds(): number {
    if (this.#ended) return this.#finalCpuNanoseconds;
    if (this.#cgroup !== undefined) return this.#cgroup.cpuNanoseconds();
    const pid = this.programPid;
    return pid === undefined ? 0 : cpuNanoseconds(pid);
  }

  /** Memory held at the moment by all processes of the jail. */
  residentBytes(): number {
    if (this.#child.pid === undefined || this.#ended) return 0;
    const total = processTree(this.#child.pid).reduce((sum, pid) => sum + residentBytes(pid), 0);
    this.#peakResidentBytes = Math.max(this.#peakResidentBytes, total);
    return total;
  }

  peakMemoryBytes(): number {
    if (this.#ended) return this.#peakResidentBytes;
    const peak = this.#cgroup?.peakMemoryBytes() ?? 0;
    if (peak > 0) return peak;
    this.residentBytes();
    return this.#peakResidentBytes;
  }

  /** Stops the clock of the program: it gets no processor time until `resume`. */
  pause(): void {
    if (this.#ended || this.#paused) return;
    this.#paused = true;
    this.#signalProgram('SIGSTOP');
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#signalProgram('SIGCONT');
  }

  /** Ends the process and everything in its jail, at once and without asking it. */
  kill(): void {
    const { pid } = this.#child;
    if (pid === undefined || this.#ended) return;
    this.#killed = true;
    // The ids are read first: when the outermost process is gone, nothing leads to the others any more.
    const pids = new Set([...processTree(pid), ...(this.#cgroup?.processIds() ?? [])]);
    signal(-pid, 'SIGKILL');
    for (const member of pids) signal(member, 'SIGKILL');
  }

  #signalProgram(name: 'SIGSTOP' | 'SIGCONT'): void {
    const pid = this.programPid;
    if (pid !== undefined && !this.#ended) signal(pid, name);
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // Gone already.
  }
}

async function cleanUp(cgroup: Cgroup | undefined, directory: string): Promise<void> {
  await cgroup?.remove();
  await rm(directory, { recursive: true, force: true }).catch(() => {});
}
