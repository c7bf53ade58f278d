export type ProcessExit = {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Killed by the kernel for want of memory. */
  readonly outOfMemory: boolean;
  /** The kernel refused it a process or thread. */
  readonly outOfPids: boolean;
};
