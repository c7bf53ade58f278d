import type { Bytes32 } from '@cloister/core';
import { type RunningHash, toHex } from '@cloister/crypto';

/** What a receipt says of a request whose body came in chunks, after so many of them. */
export type RequestProgress = {
  /** keccak256 of the encapsulated head and the sealed chunks with their headers, in order. */
  readonly requestHash: Bytes32;
  /** keccak256 of their data in order. */
  readonly bodyHash: Bytes32;
};

/** Hashes a streamed request as both of its sides see it. */
export class RequestTranscript {
  readonly #sealed: RunningHash;
  readonly #body: RunningHash;

  constructor(newHash: () => RunningHash, encapsulatedHead: Uint8Array) {
    this.#sealed = newHash();
    this.#body = newHash();
    this.#sealed.update(encapsulatedHead);
  }

  add(sealedParts: readonly Uint8Array[], data: Uint8Array): void {
    for (const part of sealedParts) this.#sealed.update(part);
    this.#body.update(data);
  }

  get progress(): RequestProgress {
    return { requestHash: toHex(this.#sealed.soFar()), bodyHash: toHex(this.#body.soFar()) };
  }
}
