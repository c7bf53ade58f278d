import { type CallHead, type FrameStream, parseCallHead, StreamError } from '@cloister/channel/frame';
import { CloisterError } from '@cloister/core';
import { type ProblemCode, ProblemError } from './problem.ts';

const answerType = /^(?:message\/[a-z0-9.+-]{1,64}|application\/problem\+json)$/;

/** How a worker's answer begins. Throws StreamError, and ProblemError for a type that is no sealed answer and no problem. */
export async function answerHead(stream: FrameStream): Promise<CallHead> {
  const head = parseCallHead(await stream.head());
  if (!answerType.test(head.contentType))
    throw new ProblemError('worker-misbehaved', `The worker answered with "${head.contentType}"`);
  return head;
}

/** What the caller is told when the stream to the worker fails before an answer began. */
export function asProblem(error: unknown): unknown {
  if (!(error instanceof CloisterError) || error instanceof ProblemError) return error;
  return new ProblemError(problemOf(error), error.message, { cause: error });
}

function problemOf(error: CloisterError): ProblemCode {
  switch (error.code) {
    case 'STREAM_CONNECTION_LOST':
      return 'worker-disconnected';
    case 'STREAM_LIMIT':
    case 'STREAM_IDS_EXHAUSTED':
      return 'worker-busy';
    case 'STREAM_NO_HEAD':
    case 'CALL_MESSAGE_MALFORMED':
      return 'worker-misbehaved';
    case 'STREAM_RESET':
      return problemOfReset(error instanceof StreamError ? error.resetCode : undefined);
    default:
      return 'internal';
  }
}

function problemOfReset(code: StreamError['resetCode']): ProblemCode {
  if (code === 'deadline' || code === 'idle') return 'worker-timeout';
  if (code === 'refused' || code === 'unavailable') return 'worker-busy';
  return code === 'too-large' ? 'request-too-large' : 'worker-failed';
}
