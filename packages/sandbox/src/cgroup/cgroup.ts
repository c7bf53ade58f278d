/** What one control group is held to. */
export type CgroupLimits = {
  readonly memoryBytes: number;
  /** Processes and threads. */
  readonly pids: number;
  /** Processors' worth of time, such as 1 or 0.5. */
  readonly cpus: number;
};

export type CgroupControllers = { readonly memory: boolean; readonly pids: boolean; readonly cpu: boolean };

/** Makes control groups below the one that this process runs in. */
export interface CgroupParent {
  readonly version: 1 | 2;
  readonly controllers: CgroupControllers;
  /** Where groups are made; of version 1, for the memory controller. */
  readonly base: string;
  create(name: string): Cgroup;
  /** Removes what is left of the groups made here, when their processes have ended. */
  remove(): Promise<void>;
}

/** A group for the processes of one tenant. */
export interface Cgroup {
  /** A process joins by writing its id to each of these files. */
  readonly joinFiles: readonly string[];
  limit(limits: CgroupLimits): void;
  /** Lowers the memory limit. */
  limitMemory(bytes: number): void;
  /** Processor time used so far. */
  cpuNanoseconds(): number;
  /** The most memory held so far. */
  peakMemoryBytes(): number;
  /** How often the kernel killed for want of memory. */
  memoryKills(): number;
  /** How often a new process or thread was refused. */
  pidsRefused(): number;
  processIds(): number[];
  /** Removes the group. To be called when its processes have ended; tries a few times, since the kernel lags. */
  remove(): Promise<void>;
}
