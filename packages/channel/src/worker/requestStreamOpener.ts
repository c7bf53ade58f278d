import { keccak256Stream } from '@cloister/crypto/fast-keccak';
import { ByteQueue } from '../shared/byteQueue.ts';
import { ChannelError, type ChannelErrorCode } from '../shared/channelError.ts';
import { maxSealedChunk } from '../shared/chunk.ts';
import { deriveChunkKeys } from '../shared/chunkKeys.ts';
import { ChunkOpener } from '../shared/chunkOpener.ts';
import { noBytes } from '../shared/labels.ts';
import { type RequestProgress, RequestTranscript } from '../shared/requestTranscript.ts';
import { maxRequestChunks } from '../shared/streamedRequest.ts';

/**
 * Opens the body of a streamed request as it arrives. Each part comes out only once it is proven to be the next; the reader's pace is the
 * sender's.
 */
export class RequestStreamOpener {
  readonly #secrets: { readonly streamSecret: Uint8Array; readonly encapsulatedKey: Uint8Array };
  readonly #transcript: RequestTranscript;
  readonly #queue = new ByteQueue();
  #opener: ChunkOpener | undefined;
  #bytes = 0;
  #chunks = 0;
  #used = false;
  #closed = false;
  #whole = false;
  #failure: ChannelError | undefined;

  constructor(streamSecret: Uint8Array, encapsulatedKey: Uint8Array, encapsulatedHead: Uint8Array) {
    this.#secrets = { streamSecret, encapsulatedKey };
    this.#transcript = new RequestTranscript(keccak256Stream, encapsulatedHead);
  }

  /** What the receipt says of the request, by the chunks that were taken. */
  get progress(): RequestProgress {
    return this.#transcript.progress;
  }

  /** Chunks taken, the final one included. */
  get chunks(): number {
    return this.#chunks;
  }

  /** Whether the final chunk was taken, and nothing came after it. */
  get whole(): boolean {
    return this.#whole && this.#failure === undefined;
  }

  /** Why it broke off. */
  get failure(): ChannelError | undefined {
    return this.#failure;
  }

  /** Takes nothing more: what the receipt says of the request is now fixed. */
  close(): void {
    this.#closed = true;
  }

  /**
   * The data of each chunk, cover left out. Can be called once. Ends after the final chunk and the end of the source, or when `close` was
   * called.
   * @throws ChannelError REQUEST_TRUNCATED, REQUEST_OVERRUN, REQUEST_TOO_LARGE, CHUNK_*, FINAL_MARK_CHANGED; REQUEST_MISUSED
   */
  async *read(
    source: AsyncIterable<Uint8Array>,
    { maxBytes }: { readonly maxBytes: number },
  ): AsyncGenerator<Uint8Array, void, undefined> {
    if (this.#used) throw new ChannelError({ code: 'REQUEST_MISUSED', message: 'The request was already being read' });
    this.#used = true;
    try {
      yield* this.#read(source, maxBytes);
    } catch (error) {
      if (this.#closed) return;
      this.#failure = error instanceof ChannelError ? error : this.#truncated(error);
      throw this.#failure;
    } finally {
      this.#secrets.streamSecret.fill(0);
    }
  }

  async *#read(source: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<Uint8Array, void, undefined> {
    const { streamSecret, encapsulatedKey } = this.#secrets;
    const opener = new ChunkOpener({
      keys: await deriveChunkKeys(streamSecret, encapsulatedKey, noBytes),
      maxChunkBytes: maxSealedChunk,
      foreign: { code: 'CHUNK_NOT_OPENED', message: 'Chunk "0" does not open: it was changed on the way' },
      error: requestError,
    });
    this.#opener = opener;
    for await (const bytes of source) {
      if (this.#whole && bytes.length > 0) throw requestError('REQUEST_OVERRUN', 'Bytes follow the final chunk');
      this.#queue.push(bytes);
      for (let data = await this.#next(opener); data !== undefined; data = await this.#next(opener)) {
        this.#bytes += data.length;
        if (this.#bytes > maxBytes)
          throw requestError('REQUEST_TOO_LARGE', `The body has more than "${maxBytes}" bytes`);
        if (data.length > 0) yield data;
        if (this.#closed) return;
      }
    }
    if (!this.#whole) throw this.#truncated(undefined);
  }

  /** The data of the next chunk that is here whole. */
  async #next(opener: ChunkOpener): Promise<Uint8Array | undefined> {
    if (this.#closed) return undefined;
    if (this.#whole) {
      if (this.#queue.length > 0) throw requestError('REQUEST_OVERRUN', 'Bytes follow the final chunk');
      return undefined;
    }
    const chunk = opener.take(this.#queue);
    if (chunk === undefined) return undefined;
    if (opener.count >= maxRequestChunks)
      throw requestError('REQUEST_TOO_LARGE', `The body has more than "${maxRequestChunks}" chunks`);
    const data = await opener.open(chunk);
    if (this.#closed) return undefined;
    if (chunk.final && data.length > 0) throw requestError('CHUNK_MALFORMED', 'The final chunk of a request has data');
    this.#transcript.add([chunk.header, chunk.sealed], data);
    this.#chunks += 1;
    this.#whole = chunk.final;
    return data;
  }

  #truncated(cause: unknown): ChannelError {
    const chunks = this.#opener?.count ?? 0;
    return new ChannelError({
      code: 'REQUEST_TRUNCATED',
      message: `The request ended after "${chunks}" chunks, without the final one`,
      meta: { chunks },
      hint: 'Send it again from the beginning, as a new call',
      cause,
    });
  }
}

function requestError(code: ChannelErrorCode, message: string): ChannelError {
  return new ChannelError({ code, message, hint: 'Send it again from the beginning, as a new call' });
}
