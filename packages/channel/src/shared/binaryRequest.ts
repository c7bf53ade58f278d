import { ByteReader } from './byteReader.ts';
import { ByteWriter } from './byteWriter.ts';
import { ChannelError } from './channelError.ts';
import { type Field, type Fields, readFieldSection, readLatin1, writeFieldSection } from './fieldSection.ts';
import { hardMaxBodyBytes, type MessageLimits, maxMethodLength, maxPathLength } from './limits.ts';
import { isZeroFrom, paddedRequestLength } from './padding.ts';

/** A request as it stands inside the seal. */
export type BinaryRequest = {
  /** Upper case; not CONNECT or TRACE, which have no meaning here. */
  readonly method: string;
  /** Path and query, from "/". */
  readonly path: string;
  readonly fields: Fields;
  readonly body: Uint8Array;
};

const framingKnownLengthRequest = 0;
const scheme = 'https';
const methodForm = /^[A-Z][A-Z0-9_-]*$/;
const refusedMethods: ReadonlySet<string> = new Set(['CONNECT', 'TRACE']);
// Visible ASCII without "#": a fragment never leaves a client.
const pathForm = /^\/[!"$-~]*$/;

/**
 * A known-length binary HTTP request (RFC 9292 §3.1), with scheme "https" and an empty authority (the app is named by a
 * call header), padded with zeros to its one allowed length.
 */
export function encodeBinaryRequest(request: BinaryRequest, limits: MessageLimits): Uint8Array {
  const { method, path, fields, body } = request;
  checkMethod(method);
  checkPath(path);
  if (body.length > maxBody(limits)) throw tooLarge(body.length, limits);
  const writer = new ByteWriter(1_024 + body.length);
  writer.varint(framingKnownLengthRequest).latin1(method).latin1(scheme).latin1('').latin1(path);
  writeFieldSection(writer, fields, limits);
  writer.varint(body.length).bytes(body).varint(0);
  return writer.finish(paddedRequestLength(writer.length));
}

/**
 * Reads what {@link encodeBinaryRequest} writes, and nothing else: no truncated form, no trailers, no other padding.
 * The body is a view of `bytes`. Throws REQUEST_MALFORMED, REQUEST_TOO_LARGE, HEADER_REFUSED or PADDING_WRONG.
 */
export function parseBinaryRequest(
  bytes: Uint8Array,
  limits: MessageLimits,
): BinaryRequest & { readonly fields: Field[] } {
  const reader = new ByteReader(bytes, 'The request');
  const framing = reader.uint8();
  if (framing !== framingKnownLengthRequest) throw reader.malformed(`has framing indicator "${framing}"`);
  const method = readLatin1(reader, maxMethodLength);
  checkMethod(method);
  if (readLatin1(reader, scheme.length) !== scheme) throw reader.malformed('has another scheme than "https"');
  if (readLatin1(reader, 0) !== '') throw reader.malformed('has an authority');
  const path = readLatin1(reader, maxPathLength);
  checkPath(path);
  const fields = readFieldSection(reader, limits);
  const body = reader.take(reader.varint(maxBody(limits), (length) => tooLarge(length, limits)));
  if (reader.uint8() !== 0) throw reader.malformed('has trailers');
  if (bytes.length !== paddedRequestLength(reader.at) || !isZeroFrom(bytes, reader.at))
    throw new ChannelError({
      code: 'PADDING_WRONG',
      message: `The request of "${reader.at}" bytes is padded to "${bytes.length}"`,
      meta: { length: reader.at, padded: bytes.length },
    });
  return { method, path, fields, body };
}

function maxBody(limits: MessageLimits): number {
  return Math.min(limits.maxBodyBytes, hardMaxBodyBytes - 1);
}

function checkMethod(method: string): void {
  if (method.length <= maxMethodLength && methodForm.test(method) && !refusedMethods.has(method)) return;
  throw malformed(`The method "${method.slice(0, maxMethodLength)}" is refused`);
}

function checkPath(path: string): void {
  if (path.length <= maxPathLength && pathForm.test(path)) return;
  throw malformed(
    `The path "${path.slice(0, 80)}" is not "/" and at most ${maxPathLength - 1} characters of visible ASCII without "#"`,
  );
}

function malformed(message: string): ChannelError {
  return new ChannelError({ code: 'REQUEST_MALFORMED', message });
}

function tooLarge(length: number, limits: MessageLimits): ChannelError {
  return new ChannelError({
    code: 'REQUEST_TOO_LARGE',
    message: `The body has "${length}" bytes, more than "${limits.maxBodyBytes}"`,
    meta: { length, maxBodyBytes: limits.maxBodyBytes },
    hint: 'Send less, or in several calls',
  });
}
