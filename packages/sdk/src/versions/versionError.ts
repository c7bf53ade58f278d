import { CloisterError } from '@cloister/core';

export type VersionErrorCode =
  | 'APP_NOT_YOURS'
  | 'VERSION_UNKNOWN'
  | 'VERSION_NEVER_SERVED'
  | 'VERSION_NONE_EARLIER'
  | 'VERSION_PENDING'
  | 'VERSION_BLOBS_GONE'
  | 'VERSION_KEYS_OVER'
  | 'VERSION_SECRETS_MISSING';

/** Why no version is published; nothing was sent. */
export class VersionError extends CloisterError<VersionErrorCode> {
  override readonly name = 'VersionError';
  constructor(code: VersionErrorCode, message: string, hint: string, meta: Record<string, unknown> = {}) {
    super({ code, message, hint, meta });
  }
}
