import { CloisterError } from '@cloister/core';

export type CollateralErrorCode =
  | 'COLLATERAL_UNAVAILABLE'
  | 'COLLATERAL_UNKNOWN_PLATFORM'
  | 'COLLATERAL_REPLY_MALFORMED'
  | 'COLLATERAL_REPLY_TOO_LARGE'
  | 'COLLATERAL_MISMATCH'
  | 'COLLATERAL_FILE_UNREADABLE'
  | 'COLLATERAL_QUOTE_UNREADABLE';

export type CollateralErrorInit = {
  readonly code: CollateralErrorCode;
  /** One sentence in sentence case, offending values quoted, no final period. */
  readonly message: string;
  readonly hint?: string | undefined;
  readonly meta?: Readonly<Record<string, unknown>> | undefined;
  readonly cause?: unknown;
};

/** What stands beside a quote could not be had. What was had and does not hold is an AttestationError. */
export class CollateralError extends CloisterError<CollateralErrorCode> {
  override readonly name = 'CollateralError';
  constructor(init: CollateralErrorInit) {
    super({ ...init, retry: init.code === 'COLLATERAL_UNAVAILABLE' });
  }
}
