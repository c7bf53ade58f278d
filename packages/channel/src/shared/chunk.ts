import { ChannelError } from './channelError.ts';
import { isZeroFrom, paddedChunkLength } from './padding.ts';

/** Bytes before a sealed chunk: the final mark (1 bit) and the sealed length (31 bits). */
export const chunkHeaderLength = 4;
const dataHeaderLength = 4;
const tagLength = 16;
/** Plaintext of the largest chunk, 127 × 512: with header and tag it fits one relay frame of 65,536 bytes. */
export const maxChunkPlaintext = 65_024;
/** The most data in one chunk. */
export const maxChunkData = maxChunkPlaintext - dataHeaderLength;
export const maxSealedChunk = maxChunkPlaintext + tagLength;
export const minSealedChunk = paddedChunkLength(dataHeaderLength) + tagLength;

/** Length, data, zeros. */
export function encodeChunkPlaintext(data: Uint8Array): Uint8Array {
  if (data.length > maxChunkData)
    throw new ChannelError({
      code: 'CHUNK_TOO_LARGE',
      message: `Expected at most "${maxChunkData}" bytes in a chunk, got "${data.length}"`,
      meta: { length: data.length },
    });
  const plaintext = new Uint8Array(paddedChunkLength(dataHeaderLength + data.length));
  writeUint32(plaintext, data.length);
  plaintext.set(data, dataHeaderLength);
  return plaintext;
}

/** The data of an opened chunk, as a view. Throws CHUNK_MALFORMED for another length or padding than the one allowed. */
export function decodeChunkPlaintext(plaintext: Uint8Array): Uint8Array {
  const length = readUint32(plaintext);
  const end = dataHeaderLength + length;
  if (plaintext.length !== paddedChunkLength(end) || !isZeroFrom(plaintext, end))
    throw new ChannelError({
      code: 'CHUNK_MALFORMED',
      message: `The chunk's padding is not that of "${length}" bytes`,
      meta: { length, padded: plaintext.length },
    });
  return plaintext.subarray(dataHeaderLength, end);
}

export function encodeChunkHeader(sealedLength: number, final: boolean): Uint8Array {
  const header = new Uint8Array(chunkHeaderLength);
  writeUint32(header, sealedLength + (final ? 0x8000_0000 : 0));
  return header;
}

export function decodeChunkHeader(header: Uint8Array): { readonly sealedLength: number; readonly final: boolean } {
  const value = readUint32(header);
  return { sealedLength: value & 0x7fff_ffff, final: value >= 0x8000_0000 };
}

// By hand: a DataView would first move a small array's memory out of the heap.
function writeUint32(bytes: Uint8Array, value: number): void {
  bytes[0] = value >>> 24;
  bytes[1] = value >>> 16;
  bytes[2] = value >>> 8;
  bytes[3] = value;
}

function readUint32(bytes: Uint8Array): number {
  const byte = (at: number): number => bytes[at] ?? 0;
  return ((byte(0) << 24) | (byte(1) << 16) | (byte(2) << 8) | byte(3)) >>> 0;
}
