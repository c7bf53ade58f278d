import { CloisterError, type CloisterErrorInit } from '@cloister/core';

export type SandboxErrorCode =
  | 'NOT_STARTED'
  | 'STOPPED'
  | 'ABORTED'
  /** The start of the driver found something that it can't work with. */
  | 'START_FAILED'
  | 'RUN_DIR_IN_USE'
  | 'RUN_DIR_TOO_LONG'
  | 'INVALID_WORKLOAD'
  | 'INVALID_REQUEST'
  | 'TENANT_CLOSED'
  | 'TENANT_BUSY'
  /** The tenant's process ended so often that the next start has to wait. */
  | 'TENANT_RESTARTING'
  /** All the memory that tenants may be held to is promised to others. */
  | 'SANDBOX_FULL'
  /** A process of the runtime could not be started or did not answer. Not the fault of the tenant's code. */
  | 'PROCESS_FAILED'
  /** The gate did not let a request out. */
  | 'OUTBOUND_REFUSED'
  /** What the handler asked of the services of the worker does not have their form. */
  | 'SERVICE_REQUEST_INVALID'
  | 'SERVICE_UNAVAILABLE'
  /** Too large, or too many of one invocation. */
  | 'SERVICE_LIMIT'
  /** Too many at once. */
  | 'SERVICE_BUSY'
  /** The invocation that the request belongs to is over. */
  | 'INVOCATION_OVER'
  /** Something made for tests was asked to run beside real evidence. */
  | 'UNSAFE_ON_REAL_EVIDENCE';

/** What this package throws on purpose. */
export class SandboxError extends CloisterError<SandboxErrorCode> {
  override readonly name = 'SandboxError';

  constructor(init: CloisterErrorInit<SandboxErrorCode>) {
    super(init);
  }
}

/** Throws ABORTED where the signal has fired. */
export function throwIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw abortedError(signal);
}

export function abortedError(signal: AbortSignal): SandboxError {
  return new SandboxError({ code: 'ABORTED', message: 'The caller gave up', cause: signal.reason });
}
