import { engine, fromHex, SecretBytes, toHex, utf8 } from '@cloister/crypto';
import { CloisterError } from './errors.ts';
import type { Bytes32 } from './hex.ts';
import { canonicalJson, type Json, parseCanonicalJson } from './jcs.ts';
import * as z from './schema.ts';
import { maxCodeBytes } from './sealedCode.ts';

/** A file, and the blobs that make it up in this order. */
export type BlobList = {
  /** Of the whole file. */
  readonly sha256: Bytes32;
  readonly bytes: number;
  /** Length of every blob but the last. */
  readonly chunkBytes: number;
  readonly chunks: readonly Bytes32[];
  /** What the blobs are sealed with, one by one, each filled up to `chunkBytes`; such a list is itself sealed to the app, as its code. */
  readonly key?: SecretBytes;
};

/** A model's weights as its manifest's code names them. */
export type WeightsList = BlobList & { readonly format: 'cloister-weights-1' };

/** How a client cuts a file. */
export const weightsChunkBytes = 8 * 1024 * 1024;
const maxChunkBytes = maxCodeBytes;
const maxChunks = 65_536;

const blobListFields = {
  sha256: z.bytes32,
  bytes: z.uint(Number.MAX_SAFE_INTEGER),
  chunkBytes: z.intBetween(1_024, maxChunkBytes),
  chunks: z.array(z.bytes32).check(z.refineArray(1, maxChunks)),
};
const weightsListJson = z.strictObject({
  format: z.literal('cloister-weights-1'),
  ...blobListFields,
  key: z.exactOptional(z.bytes32),
});
/** A {@link BlobList} that is public, inside another document; its length is checked apart. */
export const blobListJson = z.strictObject(blobListFields);
const tagBytes = 16;
const chunkAad = utf8('cloister/weights-chunk: v1');

export function weightsListBytes({ key, ...list }: WeightsList): Uint8Array {
  const shown = { ...list, ...(key && { key: toHex(key.reveal()) }) };
  return utf8(canonicalJson(shown as unknown as Json));
}

/** Reads a list in its canonical form, whose blobs have just the length of the file. Throws WEIGHTS_LIST_INVALID, JsonError. */
export function parseWeightsList(bytes: Uint8Array): WeightsList {
  const json = parseCanonicalJson(bytes, maxCodeBytes, 'a list of weights');
  const { key, ...rest } = z.parseWith(weightsListJson, json, 'weights') as Omit<WeightsList, 'key'> & {
    key?: Bytes32;
  };
  const list: WeightsList = { ...rest, ...(key !== undefined && { key: new SecretBytes(fromHex(key)) }) };
  assertWhole(list);
  return list;
}

/**
 * The list that a manifest's code is: sealed code is a list with a key, and no other is, so that neither a key is published nor weights that
 * were to be sealed. Throws WEIGHTS_LIST_INVALID, JsonError.
 */
export function weightsListOf(code: Uint8Array, isSealed: boolean): WeightsList {
  const list = parseWeightsList(code);
  if ((list.key !== undefined) === isSealed) return list;
  throw new WeightsListError(
    isSealed
      ? 'The code is sealed, and its blobs are not: store them with storeSealedWeights'
      : 'The list has a key, and would be public: deploy it with sealCode',
  );
}

/** Throws WEIGHTS_LIST_INVALID unless the blobs have just the length of the file. */
export function assertWhole({ bytes, chunkBytes, chunks }: BlobList): void {
  if (Math.ceil(bytes / chunkBytes) !== chunks.length)
    throw new WeightsListError(`"${chunks.length}" blobs of "${chunkBytes}" bytes do not make up a file of "${bytes}"`);
}

/** Length of what one of a list's blobs holds of the file. */
export function weightsChunkLength({ bytes, chunkBytes, chunks }: BlobList, index: number): number {
  return index < chunks.length - 1 ? chunkBytes : bytes - chunkBytes * (chunks.length - 1);
}

/** Length of one of a list's blobs as it is stored. */
export function weightsBlobLength(list: BlobList, index: number): number {
  return list.key === undefined ? weightsChunkLength(list, index) : list.chunkBytes + tagBytes;
}

/** A piece of a file as it is stored: AES-256-GCM, the nonce its place in the file, filled with zeros up to the length that all have. */
export async function sealWeightsChunk(
  key: SecretBytes,
  index: number,
  chunk: Uint8Array,
  chunkBytes: number,
): Promise<Uint8Array> {
  const filled = new Uint8Array(chunkBytes);
  filled.set(chunk);
  const sealed = await engine.aes256GcmSeal(key.reveal(), nonceOf(index), chunkAad, filled);
  filled.fill(0);
  return sealed;
}

/** What a stored blob holds of the file. Throws CryptoError for what was sealed by another key, or for another place. */
export async function openWeightsBlob(list: BlobList, index: number, blob: Uint8Array): Promise<Uint8Array> {
  if (list.key === undefined) return blob;
  const filled = await engine.aes256GcmOpen(list.key.reveal(), nonceOf(index), chunkAad, blob);
  return filled.subarray(0, weightsChunkLength(list, index));
}

/** Big-endian, in 12 bytes. A key seals one file, so no nonce comes twice. */
function nonceOf(index: number): Uint8Array {
  const nonce = new Uint8Array(12);
  new DataView(nonce.buffer).setUint32(8, index);
  return nonce;
}

export class WeightsListError extends CloisterError<'WEIGHTS_LIST_INVALID'> {
  override readonly name = 'WeightsListError';
  constructor(message: string) {
    super({ code: 'WEIGHTS_LIST_INVALID', message });
  }
}
