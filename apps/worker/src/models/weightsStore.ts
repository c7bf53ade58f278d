import { createReadStream } from 'node:fs';
import { chmod, lstat, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import {
  type BlobList,
  type Bytes32,
  CloisterError,
  describeError,
  openWeightsBlob,
  sleep,
  weightsBlobLength,
} from '@cloister/core';
import { concatBytes, fromHex, sha256, sha256Stream, toHex } from '@cloister/crypto';

export type WeightsStoreComponents = {
  /** Bytes by their sha256, checked. */
  readonly blobs: (id: Bytes32, maxBytes: number, signal: AbortSignal) => Promise<Uint8Array>;
};

export type WeightsStoreInit = {
  /** What the files are. Default: weights. */
  readonly what?: keyof typeof words;
  /** A folder of this worker alone. */
  readonly directory: string;
  /** Bytes of all files together. */
  readonly maxBytes: number;
  /** How long a call waits for weights that are on their way. */
  readonly patienceMs: number;
};

/** How errors name the files, the setting of their bound, and what went wrong. */
const words = {
  weights: {
    ...{ name: 'weights', setting: 'weightsGiB', coming: 'WEIGHTS_ON_THEIR_WAY' },
    ...{ tooLarge: 'WEIGHTS_TOO_LARGE', mismatch: 'WEIGHTS_MISMATCH' },
  },
  image: {
    ...{ name: 'archive of the image', setting: 'imagesGiB', coming: 'IMAGE_ON_ITS_WAY' },
    ...{ tooLarge: 'IMAGE_ARCHIVE_TOO_LARGE', mismatch: 'IMAGE_ARCHIVE_MISMATCH' },
  },
} as const;

/** A file whose bytes were hashed, and which file that was. */
type Checked = { readonly file: string; readonly identity: string };
/** `used`: the later, the larger. */
type Entry = { readonly ready: Promise<Checked>; readonly bytes: number; fetched: boolean; used: number };

/**
 * Files of weights or of images, each fetched once in pieces checked by hash, then whole by its own; kept read-only. What an earlier
 * process left is read again before it is used, and so is a file that is no longer the one that was hashed: who could write to the folder
 * meanwhile, changed nothing unseen, and what was removed comes back. Against root of this machine, who can set any time of a file,
 * that says nothing: it is inside the walls of the TEE.
 */
export class WeightsStore {
  readonly #components: WeightsStoreComponents;
  readonly #init: WeightsStoreInit;
  readonly #entries = new Map<Bytes32, Entry>();
  readonly #stopping = new AbortController();
  #uses = 0;

  constructor(components: WeightsStoreComponents, init: WeightsStoreInit) {
    this.#components = components;
    this.#init = init;
  }

  get #words(): (typeof words)[keyof typeof words] {
    return words[this.#init.what ?? 'weights'];
  }

  #mismatch(what: string): WeightsStoreError {
    return new WeightsStoreError(
      this.#words.mismatch,
      `What came as ${this.#words.name} is not what was promised: ${what}`,
    );
  }

  /**
   * The file of a list. Throws, named for weights, WEIGHTS_ON_THEIR_WAY where it takes longer than a call can wait, while the
   * fetching goes on; WEIGHTS_TOO_LARGE; WEIGHTS_MISMATCH where the blobs are not the file that was promised; BLOB_UNAVAILABLE.
   */
  async file(list: BlobList, signal: AbortSignal): Promise<string> {
    let entry = this.#entries.get(fileIdOf(list));
    if (entry?.fetched && !(await this.#isAsChecked(entry))) {
      // Of several calls that find this out, one begins again.
      if (this.#entries.get(fileIdOf(list)) === entry) this.#entries.delete(fileIdOf(list));
      entry = this.#entries.get(fileIdOf(list));
    }
    if (entry === undefined) {
      if (list.bytes > this.#init.maxBytes)
        throw new WeightsStoreError(
          this.#words.tooLarge,
          `Of ${this.#words.name} there are "${list.bytes}" bytes, this worker keeps at most "${this.#init.maxBytes}"`,
          `Ask another host, or its operator for a larger ${this.#words.setting}`,
        );
      entry = this.#begin(list);
    }
    this.#uses += 1;
    entry.used = this.#uses;
    const { file } = await Promise.race([entry.ready, this.#late(list, signal)]);
    return file;
  }

  /** Removes the file of a list that nobody uses any more. */
  async drop(list: BlobList): Promise<void> {
    const id = fileIdOf(list);
    this.#entries.delete(id);
    await rm(path.join(this.#init.directory, `${id.slice(2)}.weights`), { force: true });
  }

  /** Ends what is being fetched. */
  stop(): void {
    this.#stopping.abort();
  }

  /** No await before the entry stands: calls at the same time share it. */
  #begin(list: BlobList): Entry {
    const entry: Entry = { ready: this.#prepare(list), bytes: list.bytes, fetched: false, used: 0 };
    const id = fileIdOf(list);
    this.#entries.set(id, entry);
    entry.ready.then(
      () => {
        entry.fetched = true;
      },
      () => this.#entries.delete(id),
    );
    return entry;
  }

  async #late(list: BlobList, signal: AbortSignal): Promise<never> {
    await sleep(this.#init.patienceMs, signal);
    throw new WeightsStoreError(
      this.#words.coming,
      `Being fetched: ${this.#words.name} "${list.sha256}" (${list.bytes} bytes)`,
      'Try again in a minute',
      true,
    );
  }

  async #isAsChecked({ ready }: Entry): Promise<boolean> {
    const { file, identity } = await ready;
    return (await identityOf(file).catch(() => undefined)) === identity;
  }

  async #prepare(list: BlobList): Promise<Checked> {
    const { directory } = this.#init;
    const file = path.join(directory, `${fileIdOf(list).slice(2)}.weights`);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    // Before it is read: what changes while it is, is found out at the next use.
    const before = await identityOf(file).catch(() => undefined);
    if (before !== undefined && (await this.#hashOf(file)) === list.sha256) return { file, identity: before };
    await this.#makeRoom(list);
    const part = `${file}.part`;
    try {
      await this.#fetch(list, part);
      // Only for reading, by whichever user a tenant's process gets.
      await chmod(part, 0o444);
      await rename(part, file);
      return { file, identity: await identityOf(file) };
    } catch (error) {
      await rm(part, { force: true });
      throw error;
    }
  }

  async #hashOf(file: string): Promise<Bytes32 | undefined> {
    const hash = sha256Stream();
    try {
      for await (const bytes of createReadStream(file, { highWaterMark: 1024 * 1024 })) hash.update(bytes as Buffer);
      return toHex(hash.digest());
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
      throw this.#mismatch(describeError(error));
    }
  }

  async #fetch(list: BlobList, part: string): Promise<void> {
    const { signal } = this.#stopping;
    await rm(part, { force: true });
    const handle = await open(part, 'wx', 0o600);
    const whole = sha256Stream();
    try {
      for (const [index, id] of list.chunks.entries()) {
        const length = weightsBlobLength(list, index);
        const blob = await this.#components.blobs(id, length, signal);
        if (blob.length !== length) throw this.#mismatch(`blob "${id}" has ${blob.length} bytes, not ${length}`);
        const chunk = await openWeightsBlob(list, index, blob).catch(() => {
          throw this.#mismatch(`blob "${id}" was not sealed with the list's key, or for another place`);
        });
        whole.update(chunk);
        await handle.write(chunk);
      }
      await handle.sync();
    } finally {
      await handle.close();
    }
    const found = toHex(whole.digest());
    if (found !== list.sha256) throw this.#mismatch(`together the blobs are "${found}"`);
  }

  /** Removes the files that were used longest ago; a process that runs on one keeps it. */
  async #makeRoom(list: BlobList): Promise<void> {
    const files = await this.#files();
    const coming = [...this.#entries].filter(([id, { fetched }]) => !fetched && id !== fileIdOf(list));
    let total = [...files.map(({ size }) => size), ...coming.map(([, { bytes }]) => bytes)].reduce((a, b) => a + b, 0);
    for (const { name, size } of files) {
      if (total + list.bytes <= this.#init.maxBytes) return;
      await rm(path.join(this.#init.directory, name), { force: true });
      this.#entries.delete(hashIn(name));
      total -= size;
    }
  }

  /** All files here that are not being fetched, unused ones first. */
  async #files(): Promise<{ name: string; size: number }[]> {
    const { directory } = this.#init;
    const names = await readdir(directory).catch(() => []);
    const files = await Promise.all(
      names.map(async (name) => ({
        name,
        size: await stat(path.join(directory, name)).then(
          ({ size }) => size,
          () => 0,
        ),
        entry: this.#entries.get(hashIn(name)),
      })),
    );
    return files
      .filter(({ entry }) => entry?.fetched !== false)
      .sort((one, other) => (one.entry?.used ?? 0) - (other.entry?.used ?? 0));
  }
}

/** Of sealed weights the list's own hash: another app that names the same file must have its key to get it. */
function fileIdOf({ sha256: file, key, chunks }: BlobList): Bytes32 {
  if (key === undefined) return file;
  return toHex(sha256(concatBytes(fromHex(file), key.reveal(), ...chunks.map(fromHex))));
}

/** Which file stands at a path, and when its bytes, its name or its rights last changed: no process but root's can set that back. */
async function identityOf(file: string): Promise<string> {
  const { dev, ino, size, mtimeNs, ctimeNs } = await lstat(file, { bigint: true });
  return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
}

/** What a file here is named for. */
function hashIn(name: string): Bytes32 {
  return `0x${name.slice(0, 64)}`;
}

export type WeightsStoreErrorCode = (typeof words)[keyof typeof words]['coming' | 'tooLarge' | 'mismatch'];

export class WeightsStoreError extends CloisterError<WeightsStoreErrorCode> {
  override readonly name = 'WeightsStoreError';
  constructor(code: WeightsStoreErrorCode, message: string, hint?: string, retry = false) {
    super({ code, message, hint, retry });
  }
}
