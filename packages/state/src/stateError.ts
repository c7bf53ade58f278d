import { CloisterError } from '@cloister/core';

export type StateErrorCode =
  /** Another writer has taken over: nothing more is acknowledged here. */
  | 'STATE_FENCED'
  /** Another host has lately written. */
  | 'STATE_HELD'
  /** A copy of this very worker has written under its fence. */
  | 'STATE_STALE'
  /** Fewer than a threshold of members answer. Whether a write that ends so holds, the next one finds out. */
  | 'STATE_HEAD_UNAVAILABLE'
  /** The committee's rules forbid it; the rule stands in the message. */
  | 'STATE_REFUSED'
  /** No store serves an entry that a signed head names. */
  | 'STATE_BLOB_MISSING'
  /** No store took an entry: nothing has changed. */
  | 'STATE_BLOB_UNSTORED'
  /** An entry is not what its place in the log asks for. */
  | 'STATE_LOG_INVALID'
  /** A key, value, transaction or the whole is larger than may be. */
  | 'STATE_TOO_LARGE'
  | 'STATE_KEY_INVALID'
  /** More transactions wait than may. */
  | 'STATE_BUSY'
  | 'STATE_CLOSED';

const retryable: ReadonlySet<StateErrorCode> = new Set([
  'STATE_HELD',
  'STATE_HEAD_UNAVAILABLE',
  'STATE_BLOB_MISSING',
  'STATE_BLOB_UNSTORED',
  'STATE_BUSY',
]);

const hints: Partial<Record<StateErrorCode, string>> = {
  STATE_FENCED: 'Open the partition again to write to it; what was acknowledged is kept',
  STATE_STALE: 'Open the partition again: a copy of this worker is running',
};

/** Whatever keeps an app's state from being read or written. */
export class StateError extends CloisterError<StateErrorCode> {
  override readonly name = 'StateError';
  constructor(
    code: StateErrorCode,
    message: string,
    more: { readonly meta?: Readonly<Record<string, unknown>>; readonly cause?: unknown } = {},
  ) {
    super({ code, message, hint: hints[code], retry: retryable.has(code), ...more });
  }
}
