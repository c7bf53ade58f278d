import { ByteQueue } from '../shared/byteQueue.ts';
import type { StreamedBody } from '../shared/callHeaders.ts';
import { ChannelError, type ChannelErrorCode } from '../shared/channelError.ts';
import { maxSealedChunk } from '../shared/chunk.ts';
import { deriveChunkKeys, responseNonceLength } from '../shared/chunkKeys.ts';
import { ChunkOpener } from '../shared/chunkOpener.ts';
import type { Field } from '../shared/fieldSection.ts';
import { parseResponseHead } from '../shared/responseHead.ts';

/** What a response consists of, in this order: one head, any number of bodies, one final. */
export type ResponseEvent =
  | { readonly type: 'head'; readonly status: number; readonly headers: readonly Field[] }
  | { readonly type: 'body'; readonly bytes: Uint8Array }
  /** `trailer`: the signed receipt record. Only with it is the response whole. */
  | { readonly type: 'final'; readonly trailer: Uint8Array };

export type ResponseLimits = {
  /** Sealed bytes of one chunk. @default 65_040, the most there can be */
  readonly maxChunkBytes?: number;
  /** Bytes of the whole sealed response. @default 67_108_864 */
  readonly maxTotalBytes?: number;
};

const defaultMaxTotalBytes = 67_108_864;

type RequestSecrets = {
  readonly responseSecret: Uint8Array;
  readonly encapsulatedKey: Uint8Array;
  /** What follows the request's head, where something does. */
  readonly asked?: StreamedBody | undefined;
};

/**
 * Opens the one response to a request as its bytes arrive, in whatever pieces. Bodies come out as soon as they are proven
 * to be the next in order; `final` only after the source has ended, so that it says: this was all, and nothing followed.
 * What came out before an error is genuine but incomplete: a caller that can't use a part must wait for `final`.
 */
export class ResponseOpener {
  readonly #secrets: RequestSecrets;
  readonly #maxChunkBytes: number;
  readonly #maxTotalBytes: number;
  readonly #queue = new ByteQueue();
  #chunks: ChunkOpener | undefined;
  #received = 0;
  #trailer: Uint8Array | undefined;
  #used = false;

  constructor(secrets: RequestSecrets, limits: ResponseLimits = {}) {
    this.#secrets = secrets;
    this.#maxChunkBytes = Math.min(limits.maxChunkBytes ?? maxSealedChunk, maxSealedChunk);
    this.#maxTotalBytes = limits.maxTotalBytes ?? defaultMaxTotalBytes;
  }

  /**
   * Reads the response from a transport. Can be called once.
   * @param options.signal ends the wait for the transport, and carries the deadline: `AbortSignal.timeout(30_000)`
   * @throws ChannelError RESPONSE_* or CHUNK_* or FINAL_MARK_CHANGED; the signal's reason; whatever the source throws
   */
  async *read(
    source: AsyncIterable<Uint8Array>,
    options: { readonly signal: AbortSignal },
  ): AsyncGenerator<ResponseEvent, void, undefined> {
    if (this.#used)
      throw new ChannelError({ code: 'RESPONSE_MISUSED', message: 'The response was already being read' });
    this.#used = true;
    for await (const bytes of abortable(source, options.signal)) {
      this.#take(bytes);
      for (let event = await this.#next(); event !== undefined; event = await this.#next()) yield event;
    }
    const chunks = this.#chunks?.count ?? 0;
    if (this.#trailer === undefined)
      throw new ChannelError({
        code: 'RESPONSE_TRUNCATED',
        message: `The response ended after "${chunks}" chunks, without the final one`,
        meta: { chunks, bytes: this.#received },
        hint: 'Ask the same worker again with the same call id and client key: it keeps the answer for 10 minutes',
        retry: true,
      });
    yield { type: 'final', trailer: this.#trailer };
  }

  #take(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    if (this.#trailer !== undefined) throw this.#error('RESPONSE_OVERRUN', 'Bytes follow the final chunk');
    this.#received += bytes.length;
    if (this.#received > this.#maxTotalBytes)
      throw this.#error('RESPONSE_TOO_LARGE', `The response has more than "${this.#maxTotalBytes}" bytes`);
    this.#queue.push(bytes);
  }

  /** The next event of what is buffered; undefined where more bytes are needed. */
  async #next(): Promise<ResponseEvent | undefined> {
    this.#chunks ??= await this.#begin();
    if (this.#chunks === undefined) return undefined;
    for (;;) {
      if (this.#trailer !== undefined) {
        if (this.#queue.length > 0) throw this.#error('RESPONSE_OVERRUN', 'Bytes follow the final chunk');
        return undefined;
      }
      const chunk = this.#chunks.take(this.#queue);
      if (chunk === undefined) return undefined;
      const isFirst = this.#chunks.count === 0;
      const event = this.#accept(await this.#chunks.open(chunk), chunk.final, isFirst);
      if (event !== undefined) return event;
    }
  }

  async #begin(): Promise<ChunkOpener | undefined> {
    if (this.#queue.length < responseNonceLength) return undefined;
    const { responseSecret, encapsulatedKey } = this.#secrets;
    const keys = await deriveChunkKeys(responseSecret, encapsulatedKey, this.#queue.take(responseNonceLength));
    responseSecret.fill(0);
    return new ChunkOpener({
      keys,
      maxChunkBytes: this.#maxChunkBytes,
      foreign: {
        code: 'RESPONSE_FOREIGN',
        message: 'The response does not open: it answers another request, or was changed on the way',
      },
      error: (code, message) => this.#error(code, message),
    });
  }

  #accept(data: Uint8Array, final: boolean, isFirst: boolean): ResponseEvent | undefined {
    if (final) {
      if (isFirst) throw this.#error('RESPONSE_MALFORMED', 'The response has no head');
      this.#trailer = data;
      return undefined;
    }
    if (isFirst) {
      const { status, fields } = parseResponseHead(data, this.#secrets.asked);
      return { type: 'head', status, headers: fields };
    }
    // An empty chunk is cover: it hides that nothing was said.
    return data.length === 0 ? undefined : { type: 'body', bytes: data };
  }

  #error(code: ChannelErrorCode, message: string): ChannelError {
    return new ChannelError({
      code,
      message,
      meta: { chunk: this.#chunks?.count ?? 0, bytes: this.#received },
      hint: 'Discard the response; ask again with the same call id and client key, through another gateway',
      retry: true,
    });
  }
}

/** The source's items until the signal aborts; then its reason is thrown at once, whether the source reacts or not. */
async function* abortable(
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const iterator = source[Symbol.asyncIterator]();
  let stop = (): void => undefined;
  const onAbort = (): void => stop();
  signal.addEventListener('abort', onAbort, { once: true });
  let ended = false;
  try {
    while (true) {
      signal.throwIfAborted();
      const item = await new Promise<IteratorResult<Uint8Array>>((resolve, reject) => {
        stop = () => reject(signal.reason);
        iterator.next().then(resolve, reject);
      });
      ended = item.done === true;
      if (ended) return;
      yield item.value;
    }
  } finally {
    signal.removeEventListener('abort', onAbort);
    // Lets the transport go; a source that hangs may hang here too, so nobody waits for it.
    if (!ended) iterator.return?.().then(undefined, () => undefined);
  }
}
