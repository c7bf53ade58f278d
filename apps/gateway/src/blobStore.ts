import { createHash, randomBytes } from 'node:crypto';
import { renameSync, rmSync, statSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, unlink, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import type { Bytes32 } from '@cloister/core';
import { syncFolder, writeFileAtomic } from '@cloister/service';
import { type AppHoldings, BlobBook, type BlobStanding, type HeldClaim } from './blobBook.ts';
import { diskBytes, openOrNothing, readFrom, sizeOnDisk, writeHashed } from './blobFiles.ts';
import { BlobStoreError, unreadableClaims } from './blobStoreError.ts';
import { type CheckedClaim, claimFileText, mergedClaims, parseClaimFile } from './claimFile.ts';

export type BlobStoreInit = {
  readonly folder: string;
  /** All blobs together, in whole blocks of 4 kB. Bytes. */
  readonly maxTotalBytes: number;
  /** Of these, blobs that no app pays for. Bytes. @default maxTotalBytes */
  readonly maxUnpaidBytes?: number;
  /** What an app that exists may name of them: dropped after everything that nobody names. Bytes. @default 0 */
  readonly namedBytesPerApp?: number;
  /** Unix ms. */
  readonly now?: () => number;
};

export type StoredBlob = {
  readonly size: number;
  /** The bytes, for one reader; closes the file at its end. */
  read(): AsyncGenerator<Uint8Array, void>;
  close(): Promise<void>;
};

const idPattern = /^[0-9a-f]{64}$/;
/** A read is written down at most so often. */
const touchEveryMs = 3_600_000;

/**
 * Files named by the SHA-256 of their content, written whole or not at all, and hashed again whenever they are read. Where room is needed,
 * what nobody pays for goes, least recently used first; what is paid for stays. Claims stand in a file beside their blob, so a restart
 * forgets none.
 */
export class BlobStore {
  readonly #folder: string;
  readonly #maxTotalBytes: number;
  readonly #maxUnpaidBytes: number;
  readonly #now: () => number;
  readonly #book: BlobBook;
  /** When each file's time of use was written last. */
  readonly #touched = new Map<string, number>();
  /** Writers of claims wait for each other. */
  #claiming: Promise<unknown> = Promise.resolve();
  /** Bytes promised to uploads under way. */
  #reservedBytes = 0;

  constructor(init: BlobStoreInit) {
    this.#folder = init.folder;
    this.#maxTotalBytes = init.maxTotalBytes;
    this.#maxUnpaidBytes = Math.min(init.maxUnpaidBytes ?? init.maxTotalBytes, init.maxTotalBytes);
    this.#now = init.now ?? Date.now;
    this.#book = new BlobBook({ namedBytesPerApp: init.namedBytesPerApp ?? 0 });
  }

  get totalBytes(): number {
    return this.#book.totalBytes;
  }

  get paidBytes(): number {
    return this.#book.paidBytes;
  }

  /** What could still be paid for: everything else can be dropped. */
  get sellableBytes(): number {
    return this.#maxTotalBytes - this.#book.paidBytes;
  }

  /** Makes the folders, removes what earlier uploads left unfinished, and enters what is there, least recently used first. */
  async open(): Promise<void> {
    const temporary = join(this.#folder, 'incoming');
    await rm(temporary, { recursive: true, force: true });
    await mkdir(temporary, { recursive: true, mode: 0o700 });
    const found: { readonly id: string; readonly bytes: number; readonly usedAt: number }[] = [];
    for (const shard of await readdir(this.#folder)) {
      if (!/^[0-9a-f]{2}$/.test(shard)) continue;
      for (const name of await readdir(join(this.#folder, shard))) {
        const stat = statSync(join(this.#folder, shard, name), { throwIfNoEntry: false });
        if (idPattern.test(name) && stat !== undefined)
          found.push({ id: name, bytes: diskBytes(stat.size), usedAt: stat.mtimeMs });
      }
    }
    found.sort((left, right) => left.usedAt - right.usedAt);
    for (const { id, bytes } of found) this.#book.enter(id, { bytes, claims: await this.#claimsBeside(id) });
  }

  /** What the blob of that id takes on disk; undefined where there is none. */
  sizeOf(id: string): number | undefined {
    const bytes = sizeOnDisk(this.#path(id));
    // Somebody took the file away.
    if (bytes === undefined) this.#forget(id);
    return bytes;
  }

  standingOf(id: string): BlobStanding | undefined {
    return this.#book.standingOf(id);
  }

  isPaidBy(app: Bytes32, id: string): boolean {
    return this.#book.isPaidBy(app, id);
  }

  holdingsOf(app: Bytes32): AppHoldings {
    return this.#book.holdingsOf(app);
  }

  /** Whether so many bytes more of an app would be paid. */
  hasRoom(app: Bytes32, size: number): boolean {
    return this.#book.hasRoom(app, diskBytes(size));
  }

  /** Bytes that each app pays for. What is no longer paid is dropped as far as it finds no room among the rest. */
  setQuota(quota: (app: Bytes32) => number): void {
    this.#book.setQuota(quota);
    this.#dropUntil(this.#maxUnpaidBytes, this.#maxTotalBytes);
  }

  /**
   * Stores `size` bytes under their SHA-256 and returns whether they are new. With an app's claim they are that app's at once.
   * Throws BlobStoreError: BLOB_HASH_MISMATCH, BLOB_SIZE_MISMATCH, BLOB_STORE_FULL; nothing is kept then, and nothing dropped.
   */
  async put(id: string, size: number, content: AsyncIterable<Uint8Array>, claim?: CheckedClaim): Promise<boolean> {
    const path = this.#path(id);
    const before = this.sizeOf(id);
    const added = Math.max(0, diskBytes(size) - (before ?? 0));
    const isPaid = claim?.keep === true && this.#book.hasRoom(claim.app, added);
    this.#assertRoom(id, size, added, isPaid);
    this.#reservedBytes += added;
    const temporary = join(this.#folder, 'incoming', randomBytes(12).toString('hex'));
    try {
      await writeHashed(temporary, id, size, content);
      await mkdir(join(this.#folder, id.slice(0, 2)), { recursive: true, mode: 0o700 });
      await this.#locked(async () => {
        this.#assertRoom(id, size, 0, isPaid);
        const claims = mergedClaims(this.#book, id, diskBytes(size), claim);
        if (claims.length > 0 && claims !== this.#book.of(id)?.claims) await this.#writeClaims(id, claims);
        // Both at once, so that two uploads of one blob can't count it twice.
        renameSync(temporary, path);
        this.#touched.set(id, this.#now());
        this.#book.enter(id, { bytes: diskBytes(size), claims });
        this.#dropUntil(this.#maxUnpaidBytes, this.#maxTotalBytes, id);
      });
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
   * Counts a stored blob among an app's, or no longer; answers whether it is here. An older word than the last changes nothing, and of one
   * epoch's the one that takes it back is the last: so what somebody shows again has no effect.
   */
  async claim(id: string, claim: CheckedClaim): Promise<boolean> {
    return this.#locked(async () => {
      const entry = this.#book.of(id);
      if (this.sizeOf(id) === undefined || entry === undefined) return false;
      const claims = mergedClaims(this.#book, id, entry.bytes, claim);
      if (claims === entry.claims) return true;
      await this.#writeClaims(id, claims);
      this.#book.enter(id, { bytes: entry.bytes, claims });
      this.#dropUntil(this.#maxUnpaidBytes, this.#maxTotalBytes);
      return true;
    });
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
      this.#use(id);
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

  #use(id: string): void {
    this.#book.use(id);
    const now = this.#now();
    if (now - (this.#touched.get(id) ?? 0) < touchEveryMs) return;
    this.#touched.set(id, now);
    // Lost with the machine's power, it only looks less used than it was.
    utimes(this.#path(id), now / 1000, now / 1000).catch(() => {});
  }

  /** Whether the blob fits once everything that may be dropped is. */
  #assertRoom(id: string, size: number, added: number, isPaid: boolean): void {
    const coming = this.#reservedBytes + added;
    const isFull = isPaid
      ? this.#book.paidBytes + coming > this.#maxTotalBytes
      : coming > Math.min(this.#maxUnpaidBytes, this.#maxTotalBytes - this.#book.paidBytes);
    if (isFull) throw new BlobStoreError('BLOB_STORE_FULL', id, `The store has no room for another "${size}" bytes`);
  }

  /** Drops what was not used for longest, but for one, until no more than so much is left. */
  #dropUntil(maxUnpaid: number, maxTotal: number, keep?: string): void {
    while (this.#book.unpaidBytes > maxUnpaid || this.#book.totalBytes > maxTotal) {
      const id = this.#book.leastUsed(keep);
      if (id === undefined) return;
      this.#forget(id);
      rmSync(this.#path(id), { force: true });
      rmSync(`${this.#path(id)}.claims`, { force: true });
    }
  }

  #forget(id: string): void {
    this.#book.remove(id);
    this.#touched.delete(id);
  }

  async #claimsBeside(id: string): Promise<readonly HeldClaim[]> {
    const file = `${this.#path(id)}.claims`;
    const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw unreadableClaims(id, file, error);
    });
    if (text === undefined) return [];
    const claims = parseClaimFile(text);
    // Taken for none, what an app pays for would be dropped.
    if (claims === undefined) throw unreadableClaims(id, file);
    return claims;
  }

  #writeClaims(id: string, claims: readonly HeldClaim[]): Promise<void> {
    return writeFileAtomic(`${this.#path(id)}.claims`, claimFileText(claims), { mode: 0o600 });
  }

  #locked<T>(action: () => Promise<T>): Promise<T> {
    const done = this.#claiming.then(action, action);
    this.#claiming = done.catch(() => {});
    return done;
  }

  #path(id: string): string {
    if (!idPattern.test(id))
      throw new BlobStoreError('BLOB_BAD_ID', id.slice(0, 80), 'Expected 64 lower-case hexadecimal digits');
    return join(this.#folder, id.slice(0, 2), id);
  }
}
