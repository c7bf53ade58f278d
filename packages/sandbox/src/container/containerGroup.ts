import { rm } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { Cgroup } from '../cgroup/cgroup.ts';
import type { Freezer } from '../cgroup/freezer.ts';
import type { ProcessExit } from '../process/processExit.ts';
import { processStartTime, processTree, residentBytes } from '../process/procFs.ts';
import type { Confined } from '../process/runtimeProcess.ts';
import type { ContainerState, EngineClient } from './engine/engineClient.ts';

export type ContainerGroupOptions = {
  readonly engine: EngineClient;
  /** Around all of the containers. */
  readonly cgroup: Cgroup;
  /** Around all but the relay, where a signal would not hold them. Default: signals do. */
  readonly freezer?: Freezer | undefined;
  /** A directory of the host for this group, removed at the end. */
  readonly directory: string;
};

type Member = { readonly id: string; pid: number; startTime: number | undefined; readonly isRelay: boolean };

/** How often, and how far apart, the engine is asked whether a container that has closed its output is over. */
const exitLooks = 40;
const exitLookMs = 50;
const removeDeadlineMs = 20_000;

/** The containers of one app: the first that ends ends them all. */
export class ContainerGroup implements Confined {
  readonly exited: Promise<ProcessExit>;
  /** Settles when, after that, nothing is left of them. Never rejects. */
  readonly removed: Promise<void>;
  readonly #options: ContainerGroupOptions;
  readonly #members: Member[] = [];
  readonly #exit = Promise.withResolvers<ProcessExit>();
  #first: Promise<void> | undefined;
  #killed = false;
  #ended = false;
  #paused = false;
  #finalCpuNanoseconds = 0;
  #finalPeakBytes = 0;

  constructor(options: ContainerGroupOptions) {
    this.#options = options;
    this.exited = this.#exit.promise;
    this.removed = this.exited.then(() => this.#remove());
  }

  /** A container that has not been started. */
  add(id: string, { isRelay = false } = {}): void {
    this.#members.push({ id, pid: 0, startTime: undefined, isRelay });
  }

  /** It runs: `closed` settles when it has closed its output. */
  running(id: string, pid: number, closed: Promise<void>): void {
    const member = this.#members.find((one) => one.id === id);
    if (member === undefined) return;
    member.pid = pid;
    member.startTime = processStartTime(pid);
    void closed.then(() => this.#over(member));
    // It was to end before it was known.
    if (this.#killed) this.kill();
  }

  /** The first process of the first container. */
  get programPid(): number | undefined {
    return this.#members[0]?.pid || undefined;
  }

  /** The first process of the last container. */
  get lastPid(): number | undefined {
    return this.#members.at(-1)?.pid || undefined;
  }

  get ended(): boolean {
    return this.#ended || this.#killed;
  }

  cpuNanoseconds(): number {
    return this.#ended ? this.#finalCpuNanoseconds : this.#options.cgroup.cpuNanoseconds();
  }

  residentBytes(): number {
    return this.#processes(() => true).reduce((sum, pid) => sum + residentBytes(pid), 0);
  }

  peakMemoryBytes(): number {
    return this.#ended ? this.#finalPeakBytes : this.#options.cgroup.peakMemoryBytes();
  }

  /** All but the relay, which costs nothing while nobody calls. A process that is being made just then may go on. */
  pause(): void {
    if (this.ended || this.#paused) return;
    this.#paused = true;
    const { freezer } = this.#options;
    if (freezer !== undefined) freezer.freeze();
    else for (const pid of this.#processes(({ isRelay }) => !isRelay)) signal(pid, 'SIGSTOP');
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    const { freezer } = this.#options;
    if (freezer !== undefined) freezer.thaw();
    else for (const pid of this.#processes(({ isRelay }) => !isRelay)) signal(pid, 'SIGCONT');
  }

  /** The kernel ends all processes of a container with its first one. */
  kill(): void {
    if (this.#ended) return;
    this.#killed = true;
    const none = { code: null, signal: 'SIGKILL', outOfMemory: false, outOfPids: false } as const;
    if (this.#killAll() === 0) this.#finish(none);
  }

  #killAll(): number {
    const running = this.#members.filter(isAlive);
    for (const { pid } of running) signal(pid, 'SIGKILL');
    // What is held in its group dies only when it is let go.
    this.#options.freezer?.thaw();
    return running.length;
  }

  #processes(which: (member: Member) => boolean): number[] {
    return this.#members.filter((member) => which(member) && isAlive(member)).flatMap(({ pid }) => processTree(pid));
  }

  #over(member: Member): Promise<void> {
    this.#first ??= this.#describe(member);
    return this.#first;
  }

  async #describe(member: Member): Promise<void> {
    const { cgroup } = this.#options;
    // First: the engine removes its groups, and the counts in them, as soon as it has seen the end.
    const kills = cgroup.memoryKills();
    const state = await this.#stateOf(member);
    const code = state?.exitCode ?? null;
    const killed = code !== null && code > 128;
    const outOfMemory = state?.outOfMemory === true || kills > 0;
    this.#finish({
      code: killed ? null : code,
      signal: killed ? signalOf(code) : null,
      outOfMemory,
      outOfPids: cgroup.pidsRefused() > 0,
    });
  }

  /** Its output closes a moment before the engine knows how it ended; a program may also close it and go on. */
  async #stateOf(member: Member): Promise<ContainerState | undefined> {
    for (let look = 0; look < exitLooks; look += 1) {
      const state = await this.#options.engine
        .state(member.id, AbortSignal.timeout(removeDeadlineMs))
        .catch(() => undefined);
      if (state?.running !== true) return state;
      await delay(exitLookMs);
      if (look > 2) signal(member.pid, 'SIGKILL');
    }
    return undefined;
  }

  #finish(exit: ProcessExit): void {
    if (this.#ended) return;
    const { cgroup } = this.#options;
    // The group's figures go with the group.
    this.#finalCpuNanoseconds = cgroup.cpuNanoseconds();
    this.#finalPeakBytes = cgroup.peakMemoryBytes();
    this.#ended = true;
    this.#killAll();
    this.#exit.resolve(exit);
  }

  async #remove(): Promise<void> {
    const { engine, cgroup, directory } = this.#options;
    // In whose network the others are goes last.
    for (const { id } of [...this.#members].reverse())
      await engine.remove(id, AbortSignal.timeout(removeDeadlineMs)).catch(() => {});
    await cgroup.remove();
    await rm(directory, { recursive: true, force: true }).catch(() => {});
  }
}

function isAlive({ pid, startTime }: Member): boolean {
  return pid > 0 && startTime !== undefined && processStartTime(pid) === startTime;
}

function signalOf(code: number): NodeJS.Signals | null {
  return ({ 137: 'SIGKILL', 139: 'SIGSEGV', 134: 'SIGABRT', 143: 'SIGTERM' } as const)[code] ?? null;
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // Gone already.
  }
}
