import { CloisterError } from '@cloister/core';

/**
 * The header of a stream that carries a call: gateway → worker. The sealed request follows as data: whole, or for "stream" its head, which
 * has its length before it, and chunks that come while it is answered.
 */
export type CallOpen = {
  readonly method: CallMethod;
  /** Bytes of the sealed request, below 2³² − 1; null where the client didn't say. */
  readonly contentLength: number | null;
};

/** The head of the answer: worker → gateway. Then the body: sealed chunks, or a problem document. */
export type CallHead = {
  /** HTTP status, 200 to 599. */
  readonly status: number;
  /** A media type, at most 128 characters. */
  readonly contentType: string;
};

export type CallMethod = 'call' | 'stream';

// Both stand on the way of every call, so they are bytes, not JSON: `kind u8 = 1 or 2 | content length u32`, and
// `status u16 | media type in ASCII`, integers big endian.
const methods: readonly CallMethod[] = ['call', 'stream'];
const openLength = 5;
const unknownLength = 0xffff_ffff;
const statusLength = 2;
const maxContentTypeLength = 128;
// type/subtype and parameters; nothing that could end a header line.
const mediaType =
  /^[A-Za-z0-9!#$&^_.+-]{1,63}\/[A-Za-z0-9!#$&^_.+-]{1,63}(?: ?; ?[A-Za-z0-9_-]{1,32}=(?:[A-Za-z0-9_.+-]{1,63}|"[A-Za-z0-9_.+ -]{1,63}"))*$/;

/** 5 bytes. Throws CallMessageError for a length that no call has. */
export function encodeCallOpen({ method, contentLength }: CallOpen): Uint8Array {
  const length = contentLength ?? unknownLength;
  if (contentLength !== null && !(Number.isInteger(length) && length >= 0 && length < unknownLength))
    throw new CallMessageError('call header', 'a content length below 2^32 - 1, or null');
  return Uint8Array.of(methods.indexOf(method) + 1, length >>> 24, length >>> 16, length >>> 8, length);
}

/** Throws CallMessageError for anything that {@link encodeCallOpen} does not make. */
export function parseCallOpen(header: Uint8Array): CallOpen {
  const [kind = 0] = header;
  const method = methods[kind - 1];
  if (header.length !== openLength || method === undefined)
    throw new CallMessageError('call header', `${openLength} bytes of kind 1 to ${methods.length}`);
  const [, a = 0, b = 0, c = 0, d = 0] = header;
  const length = ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
  return { method, contentLength: length === unknownLength ? null : length };
}

/** Throws CallMessageError for a status or media type that no answer has. */
export function encodeCallHead(head: CallHead): Uint8Array {
  const { status, contentType } = checkHead(head);
  const bytes = new Uint8Array(statusLength + contentType.length);
  bytes[0] = status >>> 8;
  bytes[1] = status;
  for (let i = 0; i < contentType.length; i++) bytes[statusLength + i] = contentType.charCodeAt(i);
  return bytes;
}

/** Throws CallMessageError for anything that {@link encodeCallHead} does not make. */
export function parseCallHead(header: Uint8Array): CallHead {
  if (header.length > statusLength + maxContentTypeLength) throw new CallMessageError('call head', 'a media type');
  const [high = 0, low = 0] = header;
  return checkHead({ status: (high << 8) | low, contentType: String.fromCharCode(...header.subarray(statusLength)) });
}

function checkHead({ status, contentType }: CallHead): CallHead {
  if (!(Number.isInteger(status) && status >= 200 && status <= 599))
    throw new CallMessageError('call head', 'a status of 200 to 599');
  if (contentType.length > maxContentTypeLength || !mediaType.test(contentType))
    throw new CallMessageError('call head', 'a media type');
  return { status, contentType };
}

export class CallMessageError extends CloisterError<'CALL_MESSAGE_MALFORMED'> {
  override readonly name = 'CallMessageError';
  constructor(what: string, expected: string) {
    super({
      code: 'CALL_MESSAGE_MALFORMED',
      message: `Expected ${what} with ${expected}`,
      meta: { what },
      hint: 'Both sides must speak the same version of the relay protocol',
    });
  }
}
