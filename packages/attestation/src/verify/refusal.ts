import type { AttestationError, AttestationErrorCode } from './errors.ts';

/** Why evidence is not accepted, as data. */
export type Refusal = {
  readonly code: AttestationErrorCode;
  readonly message: string;
  /** Where: a JSON path, a certificate, an offset. */
  readonly place: string;
  readonly value?: unknown;
  readonly hint?: string;
};

/** An error of this package as a refusal. */
export function refusalOf(error: AttestationError): Refusal {
  return {
    code: error.code,
    message: error.message,
    place: error.place,
    ...(error.value === undefined ? {} : { value: error.value }),
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  };
}
