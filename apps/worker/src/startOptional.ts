import type { WorkloadKind } from '@cloister/core';
import { type SandboxDriver, SandboxError } from '@cloister/sandbox';
import type { Logger } from '@cloister/service';

/** A kind of app that this machine lacks something for. */
export type KindNotOffered = { readonly kind: WorkloadKind; readonly reason: string };

/** Starts the sandbox of a kind that not every machine can offer. Where it can't, that is said in one line, and the worker goes on without. */
export async function startOptional<Driver extends SandboxDriver>(
  driver: Driver,
  log: Logger,
  signal: AbortSignal,
): Promise<Driver | KindNotOffered> {
  try {
    await driver.start({ signal });
    return driver;
  } catch (error) {
    if (!(error instanceof SandboxError) || error.code !== 'START_FAILED') throw error;
    const { kind } = driver;
    log.info('kind not offered', { kind, reason: error.message });
    return { kind, reason: error.message };
  }
}

export function isOffered<Driver extends SandboxDriver>(started: Driver | KindNotOffered): started is Driver {
  return !('reason' in started);
}
