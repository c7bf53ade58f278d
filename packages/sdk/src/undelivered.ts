import { readProblem } from '@cloister/channel/client';
import { CallError } from './callError.ts';

/** The bytes of a problem document that are read. */
export const maxProblemBytes = 4_096;

/**
 * What an answer of a gateway comes to that is no sealed answer: CALL_KEY_REFUSED where it says that the worker's key is over, and
 * CALL_NOT_DELIVERED else. Nobody signed it.
 */
export function undelivered(
  gateway: string,
  answer: { readonly status: number; readonly contentType: string | null; readonly body: Uint8Array },
): CallError {
  const problem = readProblem(answer);
  if (problem?.isKeyProblem) return new CallError('CALL_KEY_REFUSED', 'The worker no longer accepts this key', true);
  return new CallError(
    'CALL_NOT_DELIVERED',
    `Gateway ${gateway} answered ${answer.status} (${problem?.title ?? 'no problem document'}) instead of a sealed answer`,
    answer.status >= 500,
  );
}
