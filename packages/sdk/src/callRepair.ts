import { ChannelError } from '@cloister/channel/client';
import { describeError, sleep } from '@cloister/core';
import { maxHeldBytes } from './bodySource.ts';
import { CallError } from './callError.ts';
import type { StreamedBody } from './streamedBody.ts';

/** How often a call is tried, the first time included. */
export const maxAttempts = 4;

/**
 * Whether asking again is safe and may help: the same call id never runs twice at one worker. A streamed body is begun with again only
 * before any of it was taken, or where the worker did not open the request, and all that was taken is still here.
 */
export function isRepairable(error: unknown, body: StreamedBody | undefined): boolean {
  if (!isPassing(error)) return false;
  if (body === undefined || body.bytes === 0) return body?.failure === undefined;
  return isKeyRefusal(error) && body.isWhole;
}

export function isKeyRefusal(error: unknown): error is CallError {
  return error instanceof CallError && error.code === 'CALL_KEY_REFUSED';
}

/** The first repair is tried at once, later ones with growing pauses: a worker may be starting again. */
export function pauseBefore(attempt: number, signal: AbortSignal): Promise<void> {
  return attempt === 1 ? Promise.resolve() : sleep(250 * 2 ** (attempt - 2), signal);
}

/** Why no other attempt is made, where it is that a streamed body is gone. */
export function whyGivenUp(error: unknown, body: StreamedBody | undefined): unknown {
  if (body === undefined) return error;
  if (body.failure !== undefined) return body.failure;
  if (body.bytes === 0 || !isPassing(error)) return error;
  if (isKeyRefusal(error))
    return new CallError(
      'CALL_KEY_REFUSED',
      `The worker no longer accepts the key that the call was sealed to, and of its streamed body "${body.bytes}" bytes are gone, more than the "${maxHeldBytes}" that are held`,
      false,
      error,
      'By what the gateway passes on it did not run: make a new call with a new stream, which goes to the new key, or give the body as bytes',
    );
  return new CallError(
    'CALL_BODY_CONSUMED',
    `The call broke after "${body.bytes}" bytes of its streamed body were taken, which can't be sent again: ${describeError(error)}`,
    false,
    error,
    'It may have run: make a new call with a new stream, or give the body as bytes, which is repeated safely',
  );
}

/** What was given out of an answer can't be taken back, and another answer might go on in another way: only the caller can begin again. */
export function whyBrokenOff(error: unknown, body: StreamedBody | undefined, isIdempotent: boolean): unknown {
  if (body?.failure !== undefined) return body.failure;
  if (!isPassing(error)) return error;
  const again = body === undefined ? 'call again' : 'make a new call with a new stream';
  return new CallError(
    'CALL_ANSWER_INCOMPLETE',
    `The answer broke off before its receipt, so that what came of it is neither whole nor proven: ${describeError(error)}`,
    isIdempotent && body === undefined,
    error,
    isIdempotent
      ? `The app may safely run twice: ${again}`
      : `It may have run: ${again} only if running twice is safe, or mark such calls idempotent`,
  );
}

/** Whether what failed may be over the next time. */
function isPassing(error: unknown): boolean {
  if (error instanceof CallError) return error.retry;
  return error instanceof ChannelError && error.code === 'RESPONSE_TRUNCATED';
}
