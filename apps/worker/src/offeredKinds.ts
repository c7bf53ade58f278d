import { type WorkloadKind, workloadKinds } from '@cloister/core';
import type { SandboxDriver } from '@cloister/sandbox';

/** What a worker says that it runs: each kind once, however many runtimes it has. */
export function offeredKinds(drivers: readonly Pick<SandboxDriver, 'kind'>[]): WorkloadKind[] {
  return [...new Set(drivers.map(({ kind }) => kind))];
}

/** The kinds as the registry has them: one bit each. */
export function kindBits(drivers: readonly Pick<SandboxDriver, 'kind'>[]): number {
  return offeredKinds(drivers).reduce((bits, kind) => bits | (1 << workloadKinds[kind]), 0);
}
