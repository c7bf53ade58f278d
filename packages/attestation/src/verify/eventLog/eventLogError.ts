import { AttestationError, type AttestationErrorCode } from '../errors.ts';

/** The refusals that an event log can earn. */
export type EventLogErrorCode = Extract<
  AttestationErrorCode,
  | 'TOO_LARGE'
  | 'MALFORMED_EVENT_LOG'
  | 'UNSUPPORTED_EVENT_LOG'
  | 'EVENT_LOG_MISMATCH'
  | 'EVENT_DIGEST_MISMATCH'
  | 'EVENT_MISSING'
  | 'EVENT_DUPLICATE'
  | 'EVENT_MISPLACED'
>;

/** A refusal with its place at the end of the sentence and the value that was found. */
export function eventLogError(
  code: EventLogErrorCode,
  place: string,
  expected: string,
  value?: string | number | bigint,
  hint?: string,
): AttestationError {
  return new AttestationError({
    code,
    place,
    value: typeof value === 'bigint' ? value.toString() : value,
    message: `${expected} at "${place}"${value === undefined ? '' : `, got "${String(value).slice(0, 100)}"`}`,
    ...(hint === undefined ? {} : { hint }),
  });
}
