import { CloisterError } from '@cloister/core';
import type { ResetCode } from './frame.ts';

export type StreamErrorCode =
  | 'STREAM_RESET'
  | 'STREAM_CONNECTION_LOST'
  | 'STREAM_ENDED'
  | 'STREAM_NO_HEAD'
  | 'STREAM_HEAD_MISPLACED'
  | 'STREAM_TWO_READERS'
  | 'STREAM_WRITES_UNAWAITED'
  | 'STREAM_LIMIT'
  | 'STREAM_IDS_EXHAUSTED';

const hints: Record<StreamErrorCode, string> = {
  STREAM_RESET: 'Open a new stream if the work is still wanted',
  STREAM_CONNECTION_LOST: 'Wait for the connection to come back, or use another one',
  STREAM_ENDED: 'Write before calling end()',
  STREAM_NO_HEAD: 'The other side speaks another version, or gave up: try another worker',
  STREAM_HEAD_MISPLACED: 'Call sendHead() once, before the first write()',
  STREAM_TWO_READERS: 'Await each chunk before asking for the next',
  STREAM_WRITES_UNAWAITED: 'Await each write()',
  STREAM_LIMIT: 'Wait until another stream is done',
  STREAM_IDS_EXHAUSTED: 'Close the connection and dial again',
};

/** One stream failed; the connection may go on. `meta.resetCode` and `meta.by` tell who reset it and why. */
export class StreamError extends CloisterError<StreamErrorCode> {
  override readonly name = 'StreamError';
  constructor(
    code: StreamErrorCode,
    streamId: number,
    message: string,
    meta: Record<string, unknown> = {},
    cause?: unknown,
  ) {
    super({
      code,
      message,
      meta: { streamId, ...meta },
      cause,
      hint: hints[code],
      retry: code === 'STREAM_CONNECTION_LOST' || code === 'STREAM_LIMIT',
    });
  }

  /** The reset's code, where the stream was reset. */
  get resetCode(): ResetCode | undefined {
    return this.code === 'STREAM_RESET' ? (this.meta.resetCode as ResetCode) : undefined;
  }
}
