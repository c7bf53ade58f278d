import { CloisterError } from '@cloister/core';

export type CallErrorCode =
  | 'CALL_NO_WORKER'
  | 'CALL_NOT_DELIVERED'
  | 'CALL_CONNECTION_LOST'
  | 'CALL_KEY_REFUSED'
  /** An answer that was already being given out broke off. */
  | 'CALL_ANSWER_INCOMPLETE'
  | 'CALL_ANSWER_TOO_LARGE'
  | 'CALL_WORKER_LOST'
  /** Something broke after a part of a streamed body was taken: it can't be sent again. */
  | 'CALL_BODY_CONSUMED'
  /** The stream that a body came from failed. */
  | 'CALL_BODY_FAILED'
  /** A streamed body is longer than the app's manifest allows. */
  | 'CALL_BODY_TOO_LARGE'
  /** A session was asked for, and the app answered something else. */
  | 'CALL_NOT_UPGRADED'
  /** A body that can't be streamed so: its stream is in use, or the method has none. */
  | 'CALL_BODY_REFUSED';

export class CallError extends CloisterError<CallErrorCode> {
  override readonly name = 'CallError';
  constructor(code: CallErrorCode, message: string, retry: boolean, cause?: unknown, hint?: string) {
    super({ code, message, retry, cause, hint });
  }
}
