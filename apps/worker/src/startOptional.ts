import { describeError, type WorkloadKind } from '@cloister/core';
import { type SandboxDriver, SandboxError } from '@cloister/sandbox';
import type { Logger } from '@cloister/service';

/** A kind of app that this machine lacks something for. */
export type KindNotOffered = {
  readonly kind: WorkloadKind;
  /** What is missing, and what to do about it. */
  readonly reason: string;
};

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
    const notOffered = { kind: driver.kind, reason: describeError(error) };
    log.info('kind not offered', notOffered);
    return notOffered;
  }
}

export function isOffered<Driver extends SandboxDriver>(started: Driver | KindNotOffered): started is Driver {
  return !('reason' in started);
}
