import { CloisterError } from '@cloister/core';

export type GovernanceErrorCode =
  /** A call that can't be read as Contract.function(arguments). */
  | 'GOVERN_CALL_MALFORMED'
  | 'GOVERN_CONTRACT_UNKNOWN'
  | 'GOVERN_FUNCTION_UNKNOWN'
  | 'GOVERN_ARGUMENTS'
  /** A call that no proposal may have, or more of something than a proposal may have. */
  | 'GOVERN_PROPOSAL_REFUSED'
  | 'GOVERN_PROPOSAL_UNKNOWN'
  | 'GOVERN_TOO_FEW_VOTES'
  | 'GOVERN_NOTHING_TO_CAST'
  /** A step whose time has not come, or is over. */
  | 'GOVERN_NOT_NOW'
  | 'GOVERN_NO_PREVIEW';

const mayPass: ReadonlySet<GovernanceErrorCode> = new Set(['GOVERN_NOT_NOW']);

export class GovernanceError extends CloisterError<GovernanceErrorCode> {
  override readonly name = 'GovernanceError';
  constructor(
    code: GovernanceErrorCode,
    message: string,
    hint: string,
    meta: Readonly<Record<string, unknown>> = {},
    cause?: unknown,
  ) {
    super({ code, message, hint, meta, cause, retry: mayPass.has(code) });
  }
}
