import type { Workload } from '../../src/index.ts';
import type { WorkloadOverrides } from '../calls.ts';
import { actor, functionWorkload } from '../functionWorkload.ts';

/** So much that time ends a call before it. */
const plenty = 2 ** 52;

export function deterministicWorkload(source: string, overrides: WorkloadOverrides = {}): Workload {
  const limits = { fuel: plenty, ...overrides.limits };
  return functionWorkload(source, { deterministic: true, ...overrides, limits });
}

/** The deterministic function that does what the compliance suite asks for. */
export const actorWorkload = (overrides: WorkloadOverrides = {}): Workload => deterministicWorkload(actor, overrides);
