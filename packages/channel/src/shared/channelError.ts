import { CloisterError } from '@cloister/core';

/** Everything that the sealed call refuses, on either side. `SPEC.md` says where each is thrown. */
export type ChannelErrorCode =
  /** Not an RFC 9458 key configuration, or none of this suite. */
  | 'KEY_CONFIG_MALFORMED'
  | 'KEY_CONFIG_UNSUPPORTED'
  /** The message does not have the form of `SPEC.md`. */
  | 'REQUEST_MALFORMED'
  | 'REQUEST_TOO_LARGE'
  /** The padding is not zero, or not of the one allowed length. */
  | 'PADDING_WRONG'
  /** A header field that must not cross the seal, or that isn't one. */
  | 'HEADER_REFUSED'
  /** A call header is missing, there twice, unknown or not in its one form. */
  | 'CALL_HEADER_REFUSED'
  /** No key of this id is held, or it was retired. */
  | 'KEY_UNKNOWN'
  /** The request does not open under the key that it names: changed on the way, or sealed to another key. */
  | 'REQUEST_NOT_OPENED'
  | 'REQUEST_REPLAYED'
  /** A streamed request is written or read out of order. */
  | 'REQUEST_MISUSED'
  /** A streamed request ended before its final chunk. */
  | 'REQUEST_TRUNCATED'
  /** Bytes follow the final chunk of a streamed request. */
  | 'REQUEST_OVERRUN'
  /** A key can't be announced for the time asked for. */
  | 'KEY_LIFETIME_REFUSED'
  /** A response is written or read out of order. */
  | 'RESPONSE_MISUSED'
  | 'CHUNK_TOO_LARGE'
  | 'CHUNK_MALFORMED'
  /** A chunk was changed on the way, or belongs to no response to this request. */
  | 'CHUNK_NOT_OPENED'
  /** A chunk came again. */
  | 'CHUNK_REPEATED'
  /** A chunk came before another that belongs in front of it. */
  | 'CHUNK_OUT_OF_ORDER'
  /** The mark of the last chunk was set or removed on the way. */
  | 'FINAL_MARK_CHANGED'
  /** The first chunk does not open: the response to another request, replayed or crossed, or changed on the way. */
  | 'RESPONSE_FOREIGN'
  | 'RESPONSE_MALFORMED'
  | 'RESPONSE_TRUNCATED'
  | 'RESPONSE_OVERRUN'
  | 'RESPONSE_TOO_LARGE';

/** An error of the sealed call. `meta` never carries plaintext or keys. */
export class ChannelError extends CloisterError<ChannelErrorCode> {
  override readonly name = 'ChannelError';
}
