import {
  type Bytes32,
  CloisterError,
  sealWeightsChunk,
  type WeightsList,
  weightsChunkBytes,
  weightsListBytes,
} from '@cloister/core';
import { randomBytes, SecretBytes, sha256, sha256Stream, toHex } from '@cloister/crypto';
import type { Gateways } from './gateways.ts';

type StoredFile = Omit<WeightsList, 'format' | 'key'>;

/**
 * Stores a model's weights with the gateways, a piece at a time, and answers the list that is the `code` of its manifest.
 * @param file the file's bytes in order, in pieces of any length
 */
export async function storeWeights(
  gateways: Pick<Gateways, 'putBlob'>,
  file: AsyncIterable<Uint8Array>,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const stored = await store(gateways, file, async (chunk) => chunk, signal);
  return weightsListBytes({ format: 'cloister-weights-1', ...stored });
}

/**
 * The same, each piece sealed under a key that stands in the list alone: to be deployed with `sealCode`, which seals the list to the app.
 * Who sees the blobs sees how many there are.
 */
export async function storeSealedWeights(
  gateways: Pick<Gateways, 'putBlob'>,
  file: AsyncIterable<Uint8Array>,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const key = new SecretBytes(randomBytes(32));
  try {
    const seal = (chunk: Uint8Array, index: number) => sealWeightsChunk(key, index, chunk, weightsChunkBytes);
    const stored = await store(gateways, file, seal, signal);
    return weightsListBytes({ format: 'cloister-weights-1', ...stored, key });
  } finally {
    key.wipe();
  }
}

async function store(
  gateways: Pick<Gateways, 'putBlob'>,
  file: AsyncIterable<Uint8Array>,
  blobOf: (chunk: Uint8Array, index: number) => Promise<Uint8Array>,
  signal: AbortSignal | undefined,
): Promise<StoredFile> {
  const whole = sha256Stream();
  const chunks: Bytes32[] = [];
  let bytes = 0;
  for await (const chunk of chunksOf(file)) {
    whole.update(chunk);
    bytes += chunk.length;
    const blob = await blobOf(chunk, chunks.length);
    await gateways.putBlob(blob, signal);
    chunks.push(toHex(sha256(blob)));
  }
  if (bytes === 0) throw new WeightsError('The file of weights is empty');
  return { sha256: toHex(whole.digest()), bytes, chunkBytes: weightsChunkBytes, chunks };
}

/** The same bytes in pieces of just the length of a blob, the last one shorter. */
async function* chunksOf(file: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  let chunk = new Uint8Array(weightsChunkBytes);
  let filled = 0;
  for await (const piece of file) {
    for (let at = 0; at < piece.length; ) {
      const part = piece.subarray(at, at + chunk.length - filled);
      chunk.set(part, filled);
      filled += part.length;
      at += part.length;
      if (filled < chunk.length) continue;
      yield chunk;
      chunk = new Uint8Array(weightsChunkBytes);
      filled = 0;
    }
  }
  if (filled > 0) yield chunk.subarray(0, filled);
}

export class WeightsError extends CloisterError<'WEIGHTS_EMPTY'> {
  override readonly name = 'WeightsError';
  constructor(message: string) {
    super({ code: 'WEIGHTS_EMPTY', message });
  }
}
