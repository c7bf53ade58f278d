/** Everything that this package refuses. */
export type CryptoErrorCode =
  /** Ciphertext, associated data, nonce or key do not belong together. */
  | 'AEAD_OPEN_FAILED'
  /** The X25519 result is all zero: the peer's key is of small order (RFC 7748 §6.1). */
  | 'X25519_ZERO_RESULT'
  | 'INVALID_LENGTH'
  | 'INVALID_HEX'
  | 'INVALID_BASE64URL'
  | 'INVALID_UTF8'
  | 'INVALID_KEY'
  /** No key can have made this signature, or it isn't in its one accepted form. */
  | 'INVALID_SIGNATURE'
  /** A hash stream was used after its digest. */
  | 'HASH_ENDED'
  | 'SECRET_WIPED'
  | 'NATIVE_MISSING';

export type CryptoErrorInit = {
  readonly code: CryptoErrorCode;
  readonly message: string;
  readonly meta?: Readonly<Record<string, unknown>>;
  readonly hint?: string;
  readonly cause?: unknown;
};

/**
 * An error of this package. It has the fields of core's `CloisterError`, but can't extend it: core stands above crypto.
 * Never carries secrets.
 */
export class CryptoError extends Error {
  override readonly name = 'CryptoError';
  readonly code: CryptoErrorCode;
  readonly meta: Readonly<Record<string, unknown>>;
  readonly hint: string | undefined;
  /** The same call never succeeds later. */
  readonly retry = false;

  constructor(init: CryptoErrorInit) {
    super(init.message, init.cause === undefined ? undefined : { cause: init.cause });
    this.code = init.code;
    this.meta = init.meta ?? {};
    this.hint = init.hint;
  }
}

/** Throws INVALID_LENGTH unless `bytes` is a Uint8Array of exactly `length` bytes. */
export function assertLength(bytes: Uint8Array, length: number, what: string): void {
  if (bytes instanceof Uint8Array && bytes.length === length) return;
  const got = bytes instanceof Uint8Array ? `${bytes.length} bytes` : typeof bytes;
  throw new CryptoError({
    code: 'INVALID_LENGTH',
    message: `Expected ${what} to be ${length} bytes, got ${got}`,
    meta: { what, length },
  });
}
