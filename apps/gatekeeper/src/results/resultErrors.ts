import { CloisterError } from '@cloister/core';

export type ResultRefusedCode =
  /** The chain checks it by itself, or takes no registrations by it. */
  | 'RESULT_TYPE_REFUSED'
  /** The registry asks for more than this member can say. */
  | 'RESULT_POLICY_UNMET'
  | 'RESULT_UNBOUND'
  | 'RESULT_BLOCK_UNKNOWN'
  /** A newer revocation list has been there for long. */
  | 'RESULT_LIST_SUPERSEDED'
  | 'RESULT_RATE_LIMITED';

export function refused(code: ResultRefusedCode, message: string): ResultRefusedError {
  return new ResultRefusedError(code, message);
}

/** A block that this member does not have yet comes; so does the next token. */
const mayPass: ReadonlySet<ResultRefusedCode> = new Set(['RESULT_BLOCK_UNKNOWN', 'RESULT_RATE_LIMITED']);

/** Evidence that gets no result, by the rule that forbids it. */
export class ResultRefusedError extends CloisterError<ResultRefusedCode> {
  override readonly name = 'ResultRefusedError';
  constructor(code: ResultRefusedCode, message: string) {
    super({ code, message, retry: mayPass.has(code) });
  }
}
