import { CloisterError } from '@cloister/core';

export type AppServiceErrorCode =
  | 'CHAIN_READS_TOO_MANY'
  | 'CHAIN_ANSWER_TOO_LARGE'
  /** The manifest does not name the app that is called. */
  | 'CALL_NOT_NAMED'
  /** The called app has a price. */
  | 'CALL_NOT_FREE'
  | 'CALL_TOO_DEEP'
  | 'CALLS_TOO_MANY'
  /** The worker that was asked did not run the app. */
  | 'CALL_REFUSED';

/** What an app's services refuse. */
export class AppServiceError extends CloisterError<AppServiceErrorCode> {
  override readonly name = 'AppServiceError';
  constructor(code: AppServiceErrorCode, message: string) {
    super({ code, message });
  }
}
