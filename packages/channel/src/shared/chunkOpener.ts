import { CryptoError, engine } from '@cloister/crypto';
import type { ByteQueue } from './byteQueue.ts';
import type { ChannelError, ChannelErrorCode } from './channelError.ts';
import { chunkHeaderLength, decodeChunkHeader, decodeChunkPlaintext, minSealedChunk } from './chunk.ts';
import { type ChunkKeys, chunkNonce } from './chunkKeys.ts';
import { finalAad, noBytes } from './labels.ts';

/** A chunk as it came: still sealed. */
export type SealedChunk = { readonly header: Uint8Array; readonly sealed: Uint8Array; readonly final: boolean };

export type ChunkOpenerInit = {
  readonly keys: ChunkKeys;
  /** Sealed bytes of one chunk. */
  readonly maxChunkBytes: number;
  /** What is thrown where the first chunk opens in no place at all. */
  readonly foreign: { readonly code: ChannelErrorCode; readonly message: string };
  /** Makes the error of a direction, with what to do next. */
  readonly error: (code: ChannelErrorCode, message: string) => ChannelError;
};

/** How far around the expected chunk a chunk that does not open is looked for. */
const diagnosisReach = 16;

/** Opens chunks one after the other: each must be the next, unchanged. */
export class ChunkOpener {
  readonly #init: ChunkOpenerInit;
  #counter = 0;

  constructor(init: ChunkOpenerInit) {
    this.#init = init;
  }

  /** Chunks that were opened. */
  get count(): number {
    return this.#counter;
  }

  /** The next chunk of what is buffered; undefined where more bytes are needed. Throws CHUNK_TOO_LARGE before it is buffered. */
  take(queue: ByteQueue): SealedChunk | undefined {
    if (queue.length < chunkHeaderLength) return undefined;
    const { maxChunkBytes, error } = this.#init;
    const { sealedLength, final } = decodeChunkHeader(queue.peek(chunkHeaderLength));
    if (sealedLength > maxChunkBytes)
      throw error('CHUNK_TOO_LARGE', `A chunk of "${sealedLength}" bytes is announced, more than "${maxChunkBytes}"`);
    if (sealedLength < minSealedChunk)
      throw error('CHUNK_MALFORMED', `A chunk of "${sealedLength}" bytes is announced`);
    if (queue.length < chunkHeaderLength + sealedLength) return undefined;
    const header = queue.take(chunkHeaderLength);
    return { header, sealed: queue.take(sealedLength), final };
  }

  /** Its data. Throws the direction's errors by the reason that it does not open, and CHUNK_MALFORMED. */
  async open({ sealed, final }: SealedChunk): Promise<Uint8Array> {
    const { keys } = this.#init;
    try {
      const data = decodeChunkPlaintext(await openChunk(keys, this.#counter, final, sealed));
      this.#counter += 1;
      return data;
    } catch (cause) {
      if (cause instanceof CryptoError && cause.code === 'AEAD_OPEN_FAILED') throw await this.#diagnose(sealed, final);
      throw cause;
    }
  }

  /** Tells why a chunk does not open, by trying its neighbours' places. Nothing that opens there is used. */
  async #diagnose(sealed: Uint8Array, final: boolean): Promise<ChannelError> {
    const { keys, error, foreign } = this.#init;
    const opensAt = async (counter: number, mark: boolean): Promise<boolean> => {
      try {
        await openChunk(keys, counter, mark, sealed);
        return true;
      } catch {
        return false;
      }
    };
    const expected = this.#counter;
    if (await opensAt(expected, !final))
      return error('FINAL_MARK_CHANGED', 'The mark of the last chunk was changed on the way');
    for (let counter = Math.max(0, expected - diagnosisReach); counter <= expected + diagnosisReach; counter++) {
      if (counter === expected || !(await opensAt(counter, final))) continue;
      return counter < expected
        ? error('CHUNK_REPEATED', `Chunk "${counter}" came again in the place of chunk "${expected}"`)
        : error('CHUNK_OUT_OF_ORDER', `Chunk "${counter}" came in the place of chunk "${expected}"`);
    }
    return expected === 0
      ? error(foreign.code, foreign.message)
      : error('CHUNK_NOT_OPENED', `Chunk "${expected}" does not open: it was changed on the way`);
  }
}

async function openChunk(keys: ChunkKeys, counter: number, final: boolean, sealed: Uint8Array): Promise<Uint8Array> {
  return await engine.aes256GcmOpen(keys.key, chunkNonce(keys.nonce, counter), final ? finalAad : noBytes, sealed);
}
