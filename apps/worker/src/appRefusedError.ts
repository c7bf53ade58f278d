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
  /** A model's code that is no list of weights. */
  | 'APP_WEIGHTS_INVALID'
  /** Containers' code that is no list, or whose compose file or images are refused. */
  | 'APP_CONTAINER_INVALID'
  | 'APP_OTHER_MANIFEST'
  /** This worker is none of the app's hosts, and such an app runs on its hosts alone. */
  | 'APP_NOT_PLACED'
  /** Asked for an app's state by who is none of its hosts. */
  | 'APP_STATE_PRIVATE'
  | 'APP_SECRETS_ABSENT'
  | 'APP_SECRETS_INVALID'
  /** An app's call of another that comes in parts: who calls vouches for the whole request. */
  | 'CALLER_STREAMED'
  /** A streamed request to a path of the worker's own. */
  | 'REQUEST_STREAMED'
  | 'ANSWER_GONE'
  /** One app has as many of the worker's places as any one may. */
  | 'APP_CALLS_CROWDED';

/** The app can't be run here; the caller gets this as an attested refusal. */
export class AppRefusedError extends CloisterError<AppRefusedErrorCode> {
  override readonly name = 'AppRefusedError';
  constructor(code: AppRefusedErrorCode, message: string, cause?: unknown) {
    super({ code, message, cause, retry: code === 'APP_CALLS_CROWDED' });
  }
}
