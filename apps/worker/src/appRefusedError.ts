import { CloisterError } from '@cloister/core';

export type AppRefusedErrorCode =
  | 'APP_UNKNOWN'
  | 'APP_MANIFEST_INVALID'
  | 'APP_FIELDS_DIFFER'
  | 'APP_FEATURE_UNAVAILABLE'
  | 'APP_CODE_MISMATCH'
  /** Sealed code that was changed, or sealed to something else. */
  | 'APP_CODE_SEAL_INVALID'
  /** Code sealed to keys that nobody gets any more, or not yet. */
  | 'APP_CODE_VERSION_OUTSIDE'
  | 'APP_OTHER_MANIFEST'
  /** This worker is none of the app's hosts, and such an app runs on its hosts alone. */
  | 'APP_NOT_PLACED'
  | 'APP_SECRETS_ABSENT'
  | 'APP_SECRETS_INVALID'
  | 'ANSWER_GONE';

/** The app can't be run here; the caller gets this as an attested refusal. */
export class AppRefusedError extends CloisterError<AppRefusedErrorCode> {
  override readonly name = 'AppRefusedError';
  constructor(code: AppRefusedErrorCode, message: string, cause?: unknown) {
    super({ code, message, cause });
  }
}
