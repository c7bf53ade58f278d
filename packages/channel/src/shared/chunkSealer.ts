import { concatBytes, engine } from '@cloister/crypto';
import { encodeChunkHeader } from './chunk.ts';
import { type ChunkKeys, chunkNonce } from './chunkKeys.ts';
import { finalAad, noBytes } from './labels.ts';

/** Seals chunks in the order of its calls, each under a counter of its own. */
export class ChunkSealer {
  readonly #keys: Promise<ChunkKeys>;
  #counter = 0;

  constructor(keys: Promise<ChunkKeys>) {
    this.#keys = keys;
    // Whoever seals gets the failure.
    keys.catch(() => {});
  }

  /** Chunks that were sealed or are being sealed. */
  get count(): number {
    return this.#counter;
  }

  /** One chunk with its header, after `prefix`. */
  async seal(plaintext: Uint8Array, final: boolean, prefix: Uint8Array = noBytes): Promise<Uint8Array> {
    // The place is taken before anything is awaited: calls that overlap never share a nonce.
    const counter = this.#counter++;
    const { key, nonce } = await this.#keys;
    const sealed = await engine.aes256GcmSeal(key, chunkNonce(nonce, counter), final ? finalAad : noBytes, plaintext);
    return concatBytes(prefix, encodeChunkHeader(sealed.length, final), sealed);
  }

  /** Overwrites the key. */
  async wipe(): Promise<void> {
    (await this.#keys).key.fill(0);
  }
}
