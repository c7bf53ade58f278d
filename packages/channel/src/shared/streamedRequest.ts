import { concatBytes } from '@cloister/crypto';
import { defaultMessageLimits, maxMethodLength, maxPathLength } from './limits.ts';
import { paddedRequestLength } from './padding.ts';
import { requestOverhead } from './requestContext.ts';

/** Bytes before the encapsulated head of a streamed request: its length as u32. */
export const headLengthBytes = 4;
/** The longest encapsulated head: everything that a request may have but a body. */
export const maxEncapsulatedHead =
  requestOverhead + paddedRequestLength(64 + maxMethodLength + maxPathLength + defaultMessageLimits.maxHeaderBytes);
/** Chunks of one streamed request: at 20 ms each, more than any deadline has room for. */
export const maxRequestChunks = 131_072;

/** An encapsulated head as it goes out, its chunks after it. */
export function prefixHead(encapsulated: Uint8Array): Uint8Array {
  const { length } = encapsulated;
  return concatBytes(Uint8Array.of(length >>> 24, length >>> 16, length >>> 8, length), encapsulated);
}

export function headLengthOf(bytes: Uint8Array): number {
  const [a = 0, b = 0, c = 0, d = 0] = bytes;
  return ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
}
