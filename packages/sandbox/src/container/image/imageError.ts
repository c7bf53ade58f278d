import { CloisterError } from '@cloister/core';

/**
 * IMAGE_MALFORMED: no archive of an image, or one that goes beyond what is read. IMAGE_REFUSED: what it holds would not be
 * safe to unpack. IMAGE_MISMATCH: its parts are not what its hashes say. IMAGE_TOO_LARGE: beyond the bounds.
 * IMAGE_OTHER_PLATFORM: made for other machines.
 */
export type ImageErrorCode =
  | 'IMAGE_MALFORMED'
  | 'IMAGE_REFUSED'
  | 'IMAGE_MISMATCH'
  | 'IMAGE_TOO_LARGE'
  | 'IMAGE_OTHER_PLATFORM';

/** Why an archive is not loaded. Its text may hold names of the archive's choosing, cut and printable. */
export class ImageError extends CloisterError<ImageErrorCode> {
  override readonly name = 'ImageError';

  constructor(code: ImageErrorCode, message: string, hint?: string) {
    super({ code, message, hint });
  }
}

/** A name from an archive as it may be shown. */
export function shown(name: string): string {
  return name.replace(/[^\x20-\x7e]/g, '?').slice(0, 120);
}
