import { CloisterError } from '@cloister/core';

export type BlobStoreErrorCode =
  | 'BLOB_BAD_ID'
  | 'BLOB_HASH_MISMATCH'
  | 'BLOB_SIZE_MISMATCH'
  | 'BLOB_STORE_FULL'
  | 'BLOB_CORRUPT'
  | 'BLOB_CLAIMS_UNREADABLE';

export class BlobStoreError extends CloisterError<BlobStoreErrorCode> {
  override readonly name = 'BlobStoreError';
  constructor(code: BlobStoreErrorCode, id: string, message: string, options: { cause?: unknown; hint?: string } = {}) {
    super({
      code,
      message,
      meta: { id },
      retry: code === 'BLOB_STORE_FULL',
      hint: options.hint ?? 'Name the blob by the SHA-256 of its bytes, 64 lower-case hexadecimal digits',
      cause: options.cause,
    });
  }
}

/** Of a file that lies beside a blob and says who pays for it. */
export function unreadableClaims(id: string, file: string, cause?: unknown): BlobStoreError {
  return new BlobStoreError('BLOB_CLAIMS_UNREADABLE', id, `Who claims blob "${id}" can't be read from "${file}"`, {
    cause,
    hint: 'Restore the file from a copy; or remove it, and the apps that use the blob claim it again (cloister storage pay)',
  });
}
