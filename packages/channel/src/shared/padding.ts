const requestBucket = 1_024;
const largestPlainRequest = 16_384;
const smallChunkBucket = 128;
const largestSmallChunk = 2_048;
const largeChunkBucket = 512;

/**
 * The padded length of a request: the next multiple of 1,024 up to 16,384 bytes, above that Padmé (Nikitin et al., 2019),
 * which adds at most 12 % and lets through O(log log n) bits of the length.
 */
export function paddedRequestLength(length: number): number {
  if (length <= largestPlainRequest) return Math.max(1, Math.ceil(length / requestBucket)) * requestBucket;
  const exponent = Math.floor(Math.log2(length));
  const step = 2 ** (exponent - (Math.floor(Math.log2(exponent)) + 1));
  return Math.ceil(length / step) * step;
}

/** The padded length of a response's chunk: the next multiple of 128 up to 2,048 bytes, of 512 above. */
export function paddedChunkLength(length: number): number {
  const bucket = length <= largestSmallChunk ? smallChunkBucket : largeChunkBucket;
  return Math.max(1, Math.ceil(length / bucket)) * bucket;
}

/** Whether all bytes from `start` are zero. */
export function isZeroFrom(bytes: Uint8Array, start: number): boolean {
  for (let i = start; i < bytes.length; i++) if (bytes[i] !== 0) return false;
  return true;
}
