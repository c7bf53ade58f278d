import { utf8 } from '@cloister/crypto';
import { ChannelError, type ChannelErrorCode } from '../shared/channelError.ts';
import {
  keyProblemType,
  malformedProblemType,
  oversizeProblemType,
  problemMediaType,
  replayProblemType,
} from '../shared/problem.ts';

/** What to answer, in the clear, to a request that was not opened. */
export type ProblemResponse = {
  readonly status: 400 | 413;
  readonly contentType: typeof problemMediaType;
  /** A problem document (RFC 9457). Says nothing about the contents of the request. */
  readonly body: Uint8Array;
};

/**
 * The answer to an error of `KeyRing.open`; undefined for any other error, which is the worker's own.
 * A request that does not open gets the key problem: from here, a stale key and a changed byte look the same.
 */
export function problemOf(error: unknown): ProblemResponse | undefined {
  if (!(error instanceof ChannelError)) return undefined;
  switch (error.code) {
    case 'KEY_UNKNOWN':
    case 'REQUEST_NOT_OPENED':
      return problem(400, keyProblemType, 'The key is unknown or outdated');
    case 'REQUEST_REPLAYED':
      return problem(400, replayProblemType, 'The request was opened before');
    case 'REQUEST_TOO_LARGE':
      return problem(413, oversizeProblemType, 'The request is too large');
    case 'REQUEST_MALFORMED':
    case 'PADDING_WRONG':
    case 'HEADER_REFUSED':
    case 'CALL_HEADER_REFUSED':
      return problem(400, malformedProblemType, titles[error.code]);
    default:
      return undefined;
  }
}

const titles: Readonly<Partial<Record<ChannelErrorCode, string>>> = {
  REQUEST_MALFORMED: 'The request is malformed',
  PADDING_WRONG: 'The request is padded wrongly',
  HEADER_REFUSED: 'A header of the request is refused',
  CALL_HEADER_REFUSED: 'A call header of the request is refused',
};

function problem(status: ProblemResponse['status'], type: string, title = 'The request is refused'): ProblemResponse {
  return { status, contentType: problemMediaType, body: utf8(JSON.stringify({ type, title, status })) };
}
