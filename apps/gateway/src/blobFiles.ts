import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { BlobStoreError } from './blobStoreError.ts';

const chunkBytes = 65_536;
const blockBytes = 4_096;

/** Writes what hashes to the id, and flushes it. Throws BlobStoreError: BLOB_SIZE_MISMATCH, BLOB_HASH_MISMATCH. */
export async function writeHashed(
  path: string,
  id: string,
  size: number,
  content: AsyncIterable<Uint8Array>,
): Promise<void> {
  const hash = createHash('sha256');
  let written = 0;
  const file = await open(path, 'wx', 0o600);
  try {
    for await (const chunk of content) {
      written += chunk.length;
      if (written > size) break;
      hash.update(chunk);
      await file.writeFile(chunk);
    }
    if (written !== size)
      throw new BlobStoreError(
        'BLOB_SIZE_MISMATCH',
        id,
        `Expected "${size}" bytes, got ${written > size ? 'more' : `"${written}"`}`,
      );
    const actual = hash.digest('hex');
    if (actual !== id) throw new BlobStoreError('BLOB_HASH_MISMATCH', id, `The content's SHA-256 is "${actual}"`);
    await file.sync();
  } finally {
    await file.close();
  }
}

export async function* readFrom(file: FileHandle): AsyncGenerator<Uint8Array, void> {
  for (let position = 0; ; ) {
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(chunkBytes), 0, chunkBytes, position);
    if (bytesRead === 0) return;
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

export async function openOrNothing(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if ((error as { readonly code?: unknown }).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** What a file of that size takes: whole blocks, so that many tiny blobs are not free. */
export function diskBytes(size: number): number {
  return Math.max(1, Math.ceil(size / blockBytes)) * blockBytes;
}

export function sizeOnDisk(path: string): number | undefined {
  const size = statSync(path, { throwIfNoEntry: false })?.size;
  return size === undefined ? undefined : diskBytes(size);
}
