import type { Bytes32, EpochIndex } from '@cloister/core';
import type { EpochLeaves } from '@cloister/economics';
import type { EpochBook } from './epochBook.ts';

/** What is left of an epoch when the next one is worked on. */
export type ArchivedEpoch = {
  readonly index: EpochIndex;
  readonly book: EpochBook;
  /** By the record's digest. */
  readonly leaves: ReadonlyMap<Bytes32, EpochLeaves>;
};

const keptEpochs = 24;
/** Vectors of all epochs kept, in bytes. */
const maxVectorBytes = 128 * 1024 * 1024;

/** The last epochs, for whoever recomputes their records. Oldest out first. */
export class EpochArchive {
  readonly #epochs: ArchivedEpoch[] = [];

  add(epoch: ArchivedEpoch): void {
    this.#epochs.push(epoch);
    const size = () => this.#epochs.reduce((sum, { book }) => sum + book.size, 0);
    while (this.#epochs.length > keptEpochs || (this.#epochs.length > 1 && size() > maxVectorBytes))
      this.#epochs.shift();
  }

  of(epoch: bigint): ArchivedEpoch | undefined {
    return this.#epochs.find(({ index }) => index.epoch === epoch);
  }

  vector(vectorId: Bytes32): Uint8Array | undefined {
    for (const { book } of this.#epochs) {
      const bytes = book.bytesOf(vectorId);
      if (bytes !== undefined) return bytes;
    }
    return undefined;
  }

  leaves(digest: Bytes32): EpochLeaves | undefined {
    for (const { leaves } of this.#epochs) {
      const found = leaves.get(digest);
      if (found !== undefined) return found;
    }
    return undefined;
  }
}
