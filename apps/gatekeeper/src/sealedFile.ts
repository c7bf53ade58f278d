import { readFile, stat } from 'node:fs/promises';
import type { RestSealing } from '@cloister/attestation/attest';
import { fromUtf8, utf8 } from '@cloister/crypto';
import { writeFileAtomic } from '@cloister/service';

export type SealedFileInit = {
  readonly sealing: RestSealing;
  /** What is sealed for one purpose opens for no other. */
  readonly purpose: string;
  /** Of the sealed file: a larger one is not read. */
  readonly maxBytes: number;
};

/** JSON in a file that this device alone opens, with this image. The disk is the operator's: an older file may be put back. */
export class SealedFile {
  readonly path: string;
  readonly #init: SealedFileInit;

  constructor(path: string, init: SealedFileInit) {
    this.path = path;
    this.#init = init;
  }

  /** In one step: the file of before or the new one, never half of it. */
  async write(json: unknown): Promise<void> {
    const { sealing, purpose } = this.#init;
    const text = utf8(JSON.stringify(json));
    const sealed = await sealing.seal(purpose, text);
    text.fill(0);
    await writeFileAtomic(this.path, sealed, { mode: 0o600 });
  }

  /**
   * What `parse` makes of the contents; undefined where there is no file. Throws what `unreadable` makes of the cause where it is too
   * large, does not open, or is not as it should be.
   */
  async read<T>(
    parse: (json: unknown) => T,
    unreadable: (file: string, cause: unknown) => Error,
  ): Promise<T | undefined> {
    const { sealing, purpose, maxBytes } = this.#init;
    const found = await stat(this.path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (found === undefined) return undefined;
    try {
      if (found.size > maxBytes) throw new RangeError(`It is larger than ${maxBytes} bytes`);
      const text = await sealing.open(purpose, await readFile(this.path));
      const json: unknown = JSON.parse(fromUtf8(text));
      text.fill(0);
      return parse(json);
    } catch (cause) {
      throw unreadable(this.path, cause);
    }
  }
}
