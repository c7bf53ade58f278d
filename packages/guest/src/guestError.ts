import { CloisterError } from '@cloister/core';

export type GuestErrorCode =
  /** No such method, or one that is left out on purpose. */
  | 'GUEST_METHOD_UNKNOWN'
  | 'GUEST_REQUEST_INVALID'
  | 'GUEST_REQUEST_TOO_LARGE'
  | 'GUEST_ALGORITHM_UNKNOWN'
  /** A certificate that is not made: its names, its times. */
  | 'GUEST_CERTIFICATE_REFUSED'
  | 'GUEST_EVENT_REFUSED'
  /** The log of this instance holds no more. */
  | 'GUEST_LOG_FULL'
  /** Too much is asked at once, or too often. */
  | 'GUEST_BUSY'
  /** The instance that asks is over. */
  | 'GUEST_CLOSED'
  /** Where the socket should be is something else, or its path does not fit. */
  | 'GUEST_SOCKET_UNUSABLE';

/** What a guest is refused. */
export class GuestError extends CloisterError<GuestErrorCode> {
  override readonly name = 'GuestError';
  constructor(code: GuestErrorCode, message: string, hint?: string) {
    super({ code, message, hint, retry: code === 'GUEST_BUSY' });
  }
}
