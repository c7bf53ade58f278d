import { ByteReader } from './byteReader.ts';
import { ByteWriter } from './byteWriter.ts';
import { ChannelError } from './channelError.ts';
import type { MessageLimits } from './limits.ts';

/** A header field: lower-case name, and value as in Fetch (characters up to U+00FF). */
export type Field = readonly [name: string, value: string];
export type Fields = readonly Field[];

/** Call headers start so; no header of an app does. */
export const callHeaderPrefix = 'x-cloister-';

const token = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
const fieldValue = /^(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?$/;

/** Fields of one connection, or that repeat what the message says itself: two truths about a length are how requests get smuggled. */
const connectionFields: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'host',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/**
 * The fields that may cross the seal: names in lower case, fields of the connection left out. For what a `Request` or
 * `Response` of the platform carries; call headers are kept, and refused later.
 */
export function endToEndFields(fields: Iterable<Field>): Field[] {
  const kept: Field[] = [];
  for (const [name, value] of fields) {
    const lower = name.toLowerCase();
    if (!connectionFields.has(lower)) kept.push([lower, value]);
  }
  return kept;
}

/** Writes a known-length field section (RFC 9292 §3.6). Throws HEADER_REFUSED. */
export function writeFieldSection(writer: ByteWriter, fields: Fields, limits: MessageLimits): void {
  if (fields.length > limits.maxHeaderCount) throw tooMany(limits);
  const section = new ByteWriter(512);
  for (const [name, value] of fields) {
    checkField(name, value);
    section.latin1(name).latin1(value);
    if (section.length > limits.maxHeaderBytes) throw tooLong(limits);
  }
  writer.varint(section.length).bytes(section.finish());
}

/** Reads what {@link writeFieldSection} writes, and nothing else. */
export function readFieldSection(reader: ByteReader, limits: MessageLimits): Field[] {
  const length = reader.varint(limits.maxHeaderBytes, () => tooLong(limits));
  const section = new ByteReader(reader.take(length), 'The header section');
  const fields: Field[] = [];
  while (section.remaining > 0) {
    if (fields.length === limits.maxHeaderCount) throw tooMany(limits);
    const name = readLatin1(section, limits.maxHeaderBytes);
    const value = readLatin1(section, limits.maxHeaderBytes);
    checkField(name, value);
    fields.push([name, value]);
  }
  return fields;
}

/** A string with its length in front; one byte a character. */
export function readLatin1(reader: ByteReader, maxLength: number): string {
  const length = reader.varint(maxLength, (value) =>
    reader.malformed(`has a text of "${value}" bytes, more than "${maxLength}"`),
  );
  return latin1(reader.take(length));
}

/** One character for each byte. */
export function latin1(bytes: Uint8Array): string {
  if (bytes.length <= 4_096) return String.fromCharCode.apply(null, bytes as unknown as number[]);
  // In parts: a call takes only so many arguments.
  let text = '';
  for (let at = 0; at < bytes.length; at += 4_096) text += latin1(bytes.subarray(at, at + 4_096));
  return text;
}

function checkField(name: string, value: string): void {
  if (!token.test(name)) throw refused(name, 'its name is not a lower-case token');
  if (connectionFields.has(name)) throw refused(name, 'it belongs to one connection');
  if (!fieldValue.test(value)) throw refused(name, 'its value has characters or outer spaces that no header can carry');
}

function refused(name: string, why: string): ChannelError {
  return new ChannelError({
    code: 'HEADER_REFUSED',
    message: `The header "${name.slice(0, 80)}" is refused: ${why}`,
    meta: { name: name.slice(0, 80) },
  });
}

function tooMany(limits: MessageLimits): ChannelError {
  const message = `There are more than "${limits.maxHeaderCount}" header fields`;
  return new ChannelError({ code: 'HEADER_REFUSED', message, meta: { maxHeaderCount: limits.maxHeaderCount } });
}

function tooLong(limits: MessageLimits): ChannelError {
  const message = `The header fields take more than "${limits.maxHeaderBytes}" bytes`;
  return new ChannelError({ code: 'HEADER_REFUSED', message, meta: { maxHeaderBytes: limits.maxHeaderBytes } });
}
