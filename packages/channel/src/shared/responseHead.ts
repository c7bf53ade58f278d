import { ByteReader } from './byteReader.ts';
import { ByteWriter } from './byteWriter.ts';
import { checkAppFields, type StreamedBody } from './callHeaders.ts';
import { ChannelError } from './channelError.ts';
import { type Field, type Fields, readFieldSection, writeFieldSection } from './fieldSection.ts';
import { defaultMessageLimits } from './limits.ts';

/** The most a response's head may hold; it must fit one chunk. */
const headLimits = defaultMessageLimits;

/**
 * Status and headers: the control data and field section of RFC 9292 §3.5. `asked`: what the request's body was said to be; only to who asked
 * for a session 101 is an answer. Throws RESPONSE_MALFORMED or HEADER_REFUSED.
 */
export function encodeResponseHead(status: number, fields: Fields, asked?: StreamedBody): Uint8Array {
  checkStatus(status, asked);
  checkAppFields(fields);
  const writer = new ByteWriter(512).varint(status);
  writeFieldSection(writer, fields, headLimits);
  return writer.finish();
}

/** Reads what {@link encodeResponseHead} writes, and nothing else. */
export function parseResponseHead(
  bytes: Uint8Array,
  asked?: StreamedBody,
): { readonly status: number; readonly fields: Field[] } {
  try {
    const reader = new ByteReader(bytes, 'The head');
    const status = reader.varint(599, () => reader.malformed('has no HTTP status'));
    checkStatus(status, asked);
    const fields = readFieldSection(reader, headLimits);
    if (reader.remaining > 0) throw reader.malformed('goes on after its headers');
    checkAppFields(fields);
    return { status, fields };
  } catch (cause) {
    if (!(cause instanceof ChannelError)) throw cause;
    throw new ChannelError({
      code: 'RESPONSE_MALFORMED',
      message: `The response's head is refused: ${cause.message}`,
      cause,
    });
  }
}

function checkStatus(status: number, asked: StreamedBody | undefined): void {
  if (status === 101 && asked === 'socket') return;
  if (Number.isInteger(status) && status >= 200 && status <= 599) return;
  throw new ChannelError({
    code: 'RESPONSE_MALFORMED',
    message: `Expected an HTTP status of 200 to 599, got "${status}"`,
    meta: { status },
  });
}
