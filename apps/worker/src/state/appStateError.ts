import { CloisterError } from '@cloister/core';

export type AppStateErrorCode =
  /** What was read is no longer as it was: nothing has changed; again from the beginning. */
  | 'STATE_CHANGED'
  /** A change may hold or not. */
  | 'STATE_UNKNOWN'
  /** More partitions are in use on this worker than it can hold. */
  | 'STATE_FULL'
  /** The app's manifest names fewer partitions. */
  | 'STATE_PARTITION_UNKNOWN'
  | 'STATE_NO_COMMITTEE';

const retryable: ReadonlySet<AppStateErrorCode> = new Set(['STATE_CHANGED', 'STATE_FULL']);

/** What keeps a handler from its app's state beside what keeps the worker from it. */
export class AppStateError extends CloisterError<AppStateErrorCode> {
  override readonly name = 'AppStateError';
  constructor(code: AppStateErrorCode, message: string, cause?: unknown) {
    super({ code, message, retry: retryable.has(code), cause });
  }
}
