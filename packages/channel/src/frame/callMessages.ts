import { CloisterError } from '@cloister/core';
import { fromUtf8, utf8 } from '@cloister/crypto';
import { maxHeaderBytes } from './limits.ts';

/** The header of a stream that carries a call: gateway → worker. The sealed request follows as data. */
export type CallOpen = {
  readonly method: 'call';
  /** Bytes of the sealed request; null where the client didn't say. */
  readonly contentLength: number | null;
};

/** The head of the answer: worker → gateway. Then the body: sealed chunks, or a problem document. */
export type CallHead = {
  /** HTTP status, 200 to 599. */
  readonly status: number;
  /** A media type, at most 128 characters. */
  readonly contentType: string;
};

// type/subtype and parameters; nothing that could end a header line.
const mediaType =
  /^[A-Za-z0-9!#$&^_.+-]{1,63}\/[A-Za-z0-9!#$&^_.+-]{1,63}(?: ?; ?[A-Za-z0-9_-]{1,32}=(?:[A-Za-z0-9_.+-]{1,63}|"[A-Za-z0-9_.+ -]{1,63}"))*$/;
const maxContentTypeLength = 128;

export function encodeCallOpen(open: CallOpen): Uint8Array {
  return utf8(JSON.stringify(checkOpen(open)));
}

/** Throws CallMessageError for anything that {@link encodeCallOpen} does not make. */
export function parseCallOpen(header: Uint8Array): CallOpen {
  return checkOpen(parseObject(header, 'call header'));
}

export function encodeCallHead(head: CallHead): Uint8Array {
  return utf8(JSON.stringify(checkHead(head)));
}

/** Throws CallMessageError for anything that {@link encodeCallHead} does not make. */
export function parseCallHead(header: Uint8Array): CallHead {
  return checkHead(parseObject(header, 'call head'));
}

function checkOpen(value: object): CallOpen {
  const { method, contentLength, ...rest } = value as Partial<Record<string, unknown>>;
  if (method !== 'call' || Object.keys(rest).length > 0)
    throw new CallMessageError('call header', 'method "call" and nothing unknown');
  if (contentLength !== null && !isUint(contentLength))
    throw new CallMessageError('call header', 'a content length in bytes, or null');
  return { method, contentLength };
}

function checkHead(value: object): CallHead {
  const { status, contentType, ...rest } = value as Partial<Record<string, unknown>>;
  if (!isUint(status) || status < 200 || status > 599 || Object.keys(rest).length > 0)
    throw new CallMessageError('call head', 'a status of 200 to 599 and nothing unknown');
  if (typeof contentType !== 'string' || contentType.length > maxContentTypeLength || !mediaType.test(contentType))
    throw new CallMessageError('call head', 'a media type');
  return { status, contentType };
}

function parseObject(bytes: Uint8Array, what: string): object {
  let value: unknown;
  try {
    if (bytes.length > maxHeaderBytes) throw new RangeError('too long');
    value = JSON.parse(fromUtf8(bytes));
  } catch (cause) {
    throw new CallMessageError(what, 'JSON in UTF-8', cause);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new CallMessageError(what, 'a JSON object');
  return value;
}

function isUint(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

export class CallMessageError extends CloisterError<'CALL_MESSAGE_MALFORMED'> {
  override readonly name = 'CallMessageError';
  constructor(what: string, expected: string, cause?: unknown) {
    super({
      code: 'CALL_MESSAGE_MALFORMED',
      message: `Expected ${what} with ${expected}`,
      meta: { what },
      hint: 'Both sides must speak the same version of the relay protocol',
      cause,
    });
  }
}
