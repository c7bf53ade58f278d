import { keccak256Stream } from '@cloister/crypto';
import { ChannelError } from '../shared/channelError.ts';
import { encodeChunkPlaintext, maxChunkData } from '../shared/chunk.ts';
import { deriveChunkKeys } from '../shared/chunkKeys.ts';
import { ChunkSealer } from '../shared/chunkSealer.ts';
import { noBytes } from '../shared/labels.ts';
import { type RequestProgress, RequestTranscript } from '../shared/requestTranscript.ts';
import { maxRequestChunks } from '../shared/streamedRequest.ts';

/**
 * Seals the body of one request chunk by chunk, after its head. The place of each is part of its seal, and only `final` makes the request
 * whole: what a relay cuts, repeats or exchanges does not open.
 */
export class RequestStreamSealer {
  readonly #chunks: ChunkSealer;
  readonly #transcript: RequestTranscript;
  /** What a receipt may name: the worker may be through before it has taken all. */
  readonly #progress: RequestProgress[] = [];
  #ended = false;
  #busy = false;

  constructor(streamSecret: Uint8Array, encapsulatedKey: Uint8Array, encapsulatedHead: Uint8Array) {
    this.#chunks = new ChunkSealer(
      deriveChunkKeys(streamSecret, encapsulatedKey, noBytes).finally(() => streamSecret.fill(0)),
    );
    this.#transcript = new RequestTranscript(keccak256Stream, encapsulatedHead);
    this.#progress.push(this.#transcript.progress);
  }

  /** Chunks so far. */
  get count(): number {
    return this.#chunks.count;
  }

  /** At most `maxChunkData` bytes, as one chunk to send. No bytes are cover. One at a time. Throws REQUEST_MISUSED, REQUEST_TOO_LARGE. */
  async chunk(data: Uint8Array): Promise<Uint8Array> {
    if (this.#chunks.count >= maxRequestChunks - 1)
      throw new ChannelError({
        code: 'REQUEST_TOO_LARGE',
        message: `A streamed request has at most "${maxRequestChunks}" chunks`,
        hint: 'Send larger parts',
      });
    return this.#seal(data, false);
  }

  /** The end: without it, nothing that was sent counts as whole. */
  async final(): Promise<Uint8Array> {
    const sealed = await this.#seal(noBytes, true);
    this.#ended = true;
    await this.#chunks.wipe();
    return sealed;
  }

  /** What a receipt says of the request after its first `chunks`; undefined where no such number was sent. */
  after(chunks: number): RequestProgress | undefined {
    return this.#progress[chunks];
  }

  async #seal(data: Uint8Array, final: boolean): Promise<Uint8Array> {
    if (this.#ended || this.#busy || data.length > maxChunkData)
      throw new ChannelError({
        code: 'REQUEST_MISUSED',
        message: `The request's body can't be sealed so: ${this.#ended ? 'it has ended' : this.#busy ? 'the chunk before is not sealed yet' : `"${data.length}" bytes in a chunk`}`,
        hint: 'Call chunk() any number of times, each after the one before, then final() once',
      });
    this.#busy = true;
    try {
      const sealed = await this.#chunks.seal(encodeChunkPlaintext(data), final);
      this.#transcript.add([sealed], data);
      this.#progress.push(this.#transcript.progress);
      return sealed;
    } catch (error) {
      this.#ended = true;
      throw error;
    } finally {
      this.#busy = false;
    }
  }
}
