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
  new DataView(plaintext.buffer).setUint32(0, data.length);
  plaintext.set(data, dataHeaderLength);
  return plaintext;
}

/** The data of an opened chunk, as a view. Throws CHUNK_MALFORMED for another length or padding than the one allowed. */
export function decodeChunkPlaintext(plaintext: Uint8Array): Uint8Array {
  const length = readUint32(plaintext, 0);
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
  new DataView(header.buffer).setUint32(0, sealedLength + (final ? 0x8000_0000 : 0));
  return header;
}

export function decodeChunkHeader(header: Uint8Array): { readonly sealedLength: number; readonly final: boolean } {
  const value = readUint32(header, 0);
  return { sealedLength: value & 0x7fff_ffff, final: value >= 0x8000_0000 };
}

function readUint32(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getUint32(at);
}
