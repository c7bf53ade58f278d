import { createHash, randomBytes } from 'node:crypto';
import { renameSync, statSync } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rm, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { CloisterError } from '@cloister/core';
import { syncFolder } from '@cloister/service';

export type BlobStoreInit = {
  readonly folder: string;
  /** All blobs together, in whole blocks of 4 kB. Bytes. */
  readonly maxTotalBytes: number;
};

export type StoredBlob = {
  readonly size: number;
  /** The bytes, for one reader; closes the file at its end. */
  read(): AsyncGenerator<Uint8Array, void>;
  close(): Promise<void>;
};

const idPattern = /^[0-9a-f]{64}$/;
const chunkBytes = 65_536;
const blockBytes = 4_096;

/** Files named by the SHA-256 of their content, written whole or not at all, and hashed again whenever they are read. */
export class BlobStore {
  readonly #folder: string;
  readonly #maxTotalBytes: number;
  #totalBytes = 0;
  /** Bytes promised to uploads under way. */
  #reservedBytes = 0;

  constructor(init: BlobStoreInit) {
    this.#folder = init.folder;
    this.#maxTotalBytes = init.maxTotalBytes;
  }

  get totalBytes(): number {
    return this.#totalBytes;
  }

  /** Makes the folders, removes what earlier uploads left unfinished, and counts what is there. */
  async open(): Promise<void> {
    const temporary = join(this.#folder, 'incoming');
    await rm(temporary, { recursive: true, force: true });
    await mkdir(temporary, { recursive: true, mode: 0o700 });
    this.#totalBytes = 0;
    for (const shard of await readdir(this.#folder)) {
      if (!/^[0-9a-f]{2}$/.test(shard)) continue;
      for (const name of await readdir(join(this.#folder, shard)))
        if (idPattern.test(name)) this.#totalBytes += sizeOnDisk(join(this.#folder, shard, name)) ?? 0;
    }
  }

  /** What the blob of that id takes on disk; undefined where there is none. */
  sizeOf(id: string): number | undefined {
    return sizeOnDisk(this.#path(id));
  }

  /**
   * Stores `size` bytes under their SHA-256 and returns whether they are new. Throws BlobStoreError:
   * BLOB_HASH_MISMATCH, BLOB_SIZE_MISMATCH, BLOB_STORE_FULL; nothing is kept then.
   */
  async put(id: string, size: number, content: AsyncIterable<Uint8Array>): Promise<boolean> {
    const path = this.#path(id);
    const before = sizeOnDisk(path);
    const added = Math.max(0, diskBytes(size) - (before ?? 0));
    if (this.#totalBytes + this.#reservedBytes + added > this.#maxTotalBytes)
      throw new BlobStoreError('BLOB_STORE_FULL', id, `The store has no room for another "${size}" bytes`);
    this.#reservedBytes += added;
    const temporary = join(this.#folder, 'incoming', randomBytes(12).toString('hex'));
    try {
      await writeHashed(temporary, id, size, content);
      await mkdir(join(this.#folder, id.slice(0, 2)), { recursive: true, mode: 0o700 });
      // Both at once, so that two uploads of one blob can't count it twice.
      const replaced = sizeOnDisk(path);
      renameSync(temporary, path);
      this.#totalBytes += diskBytes(size) - (replaced ?? 0);
      await syncFolder(join(this.#folder, id.slice(0, 2)));
      return before === undefined;
    } catch (error) {
      await unlink(temporary).catch(() => {});
      throw error;
    } finally {
      this.#reservedBytes -= added;
    }
  }

  /**
   * Opens a blob after hashing it; undefined where there is none. Throws BLOB_CORRUPT where the file is no longer what
   * its name says; storing it again repairs it.
   */
  async get(id: string): Promise<StoredBlob | undefined> {
    const path = this.#path(id);
    const file = await openOrNothing(path);
    if (file === undefined) return undefined;
    try {
      const hash = createHash('sha256');
      let size = 0;
      for await (const chunk of readFrom(file)) {
        hash.update(chunk);
        size += chunk.length;
      }
      if (hash.digest('hex') !== id)
        throw new BlobStoreError('BLOB_CORRUPT', id, `The file of blob "${id}" holds something else`);
      return {
        size,
        async *read() {
          try {
            yield* readFrom(file);
          } finally {
            await file.close();
          }
        },
        close: () => file.close(),
      };
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  #path(id: string): string {
    if (!idPattern.test(id))
      throw new BlobStoreError('BLOB_BAD_ID', id.slice(0, 80), 'Expected 64 lower-case hexadecimal digits');
    return join(this.#folder, id.slice(0, 2), id);
  }
}

async function writeHashed(path: string, id: string, size: number, content: AsyncIterable<Uint8Array>): Promise<void> {
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

async function* readFrom(file: FileHandle): AsyncGenerator<Uint8Array, void> {
  for (let position = 0; ; ) {
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(chunkBytes), 0, chunkBytes, position);
    if (bytesRead === 0) return;
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

async function openOrNothing(path: string): Promise<FileHandle | undefined> {
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

function sizeOnDisk(path: string): number | undefined {
  const size = statSync(path, { throwIfNoEntry: false })?.size;
  return size === undefined ? undefined : diskBytes(size);
}

export type BlobStoreErrorCode =
  | 'BLOB_BAD_ID'
  | 'BLOB_HASH_MISMATCH'
  | 'BLOB_SIZE_MISMATCH'
  | 'BLOB_STORE_FULL'
  | 'BLOB_CORRUPT';

export class BlobStoreError extends CloisterError<BlobStoreErrorCode> {
  override readonly name = 'BlobStoreError';
  constructor(code: BlobStoreErrorCode, id: string, message: string) {
    super({
      code,
      message,
      meta: { id },
      retry: code === 'BLOB_STORE_FULL',
      hint: 'Name the blob by the SHA-256 of its bytes, 64 lower-case hexadecimal digits',
    });
  }
}
