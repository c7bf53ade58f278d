import { CloisterError, type CloisterErrorInit } from '@cloister/core';

export type ThresholdErrorCode =
  /** Bytes that are no point of the prime-order group in its one compressed form, or are its identity. */
  | 'POINT_INVALID'
  /** Bytes that are no number of 1 to r − 1. */
  | 'SCALAR_INVALID'
  /** An index outside 1 to 255, or the same one twice. */
  | 'INDEX_INVALID'
  | 'THRESHOLD_INVALID'
  /** The partials given don't make the signature that the public key asks for. */
  | 'COMBINATION_INVALID'
  /** What was sealed was changed, or is meant for another identity. */
  | 'SEAL_INVALID'
  /** A key was to be derived from a key of another class than its purpose has. */
  | 'PURPOSE_OF_OTHER_CLASS'
  /** A dealer's share does not fit what it committed to. */
  | 'SHARE_INVALID'
  | 'DEALING_INVALID';

/** Refusals of this package. Never carries secrets. */
export class ThresholdError extends CloisterError<ThresholdErrorCode> {
  override readonly name = 'ThresholdError';
  constructor(code: ThresholdErrorCode, message: string, init: Omit<CloisterErrorInit, 'code' | 'message'> = {}) {
    super({ ...init, code, message });
  }
}
