import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { LoadedImage } from '../sandbox.ts';
import type { EngineClient } from './engine/engineClient.ts';
import { checkArchive } from './image/checkArchive.ts';
import { ImageError } from './image/imageError.ts';

export type ImageShelfInit = {
  /** For copies that are gone again when they are loaded. */
  readonly directory: string;
  /** Of all images together, without compression. */
  readonly maxBytes: number;
};

type Shelved = { readonly image: LoadedImage; readonly bytes: number; used: number };

/** The images that the engine has, each checked in this process's life. */
export class ImageShelf {
  readonly #engine: EngineClient;
  readonly #init: ImageShelfInit;
  readonly #images = new Map<string, Shelved>();
  #last: Promise<unknown> = Promise.resolve();
  #uses = 0;

  constructor(engine: EngineClient, init: ImageShelfInit) {
    this.#engine = engine;
    this.#init = init;
  }

  /**
   * Checks an archive and gives it to the engine, unless that was done before. One after another: each takes disk and a
   * processor. Throws ImageError, PROCESS_FAILED.
   * @param name what stands for the archive's bytes, such as their hash
   */
  load(file: string, name: string, signal: AbortSignal): Promise<LoadedImage> {
    const turn = this.#last.then(() => this.#load(file, name, signal));
    this.#last = turn.catch(() => {});
    return turn;
  }

  async #load(file: string, name: string, signal: AbortSignal): Promise<LoadedImage> {
    this.#uses += 1;
    const known = this.#images.get(name);
    if (known !== undefined && (await this.#engine.hasImage(known.image.id.slice(2), signal))) {
      known.used = this.#uses;
      return known.image;
    }
    const copyTo = join(this.#init.directory, `${randomBytes(6).toString('hex')}.tar`);
    try {
      const {
        id,
        config,
        unpackedBytes: bytes,
      } = await checkArchive(file, {
        copyTo,
        bounds: { unpackedBytes: this.#init.maxBytes },
        signal,
      });
      await this.#makeRoom(bytes, signal);
      await this.#engine.load(copyTo, signal);
      if (!(await this.#engine.hasImage(id, signal)))
        throw new ImageError('IMAGE_MISMATCH', `The engine has no image "${id}" after it was given one`);
      const image: LoadedImage = { id: `0x${id}`, config };
      this.#images.set(name, { image, bytes, used: this.#uses });
      return image;
    } finally {
      await rm(copyTo, { force: true });
    }
  }

  /** Removes images that were used longest ago; one that a container needs stays. */
  async #makeRoom(bytes: number, signal: AbortSignal): Promise<void> {
    let total = [...this.#images.values()].reduce((sum, shelved) => sum + shelved.bytes, bytes);
    for (const [name, shelved] of [...this.#images].sort(([, one], [, other]) => one.used - other.used)) {
      if (total <= this.#init.maxBytes) return;
      if (!(await this.#engine.removeImage(shelved.image.id.slice(2), signal))) continue;
      this.#images.delete(name);
      total -= shelved.bytes;
    }
    if (total > this.#init.maxBytes)
      throw new ImageError('IMAGE_TOO_LARGE', `There is no room for ${bytes} bytes beside the images in use`);
  }
}
