import { concatBytes, randomBytes } from '@cloister/crypto';
import type { StreamedBody } from '../shared/callHeaders.ts';
import { ChannelError } from '../shared/channelError.ts';
import { encodeChunkPlaintext, maxChunkData } from '../shared/chunk.ts';
import { deriveChunkKeys, responseNonceLength } from '../shared/chunkKeys.ts';
import { ChunkSealer } from '../shared/chunkSealer.ts';
import type { Fields } from '../shared/fieldSection.ts';
import { encodeResponseHead } from '../shared/responseHead.ts';

/** Far below the limit of AES-GCM, far above any response. */
const maxChunks = 2 ** 32;

type ResponseSecrets = {
  readonly responseSecret: Uint8Array;
  readonly encapsulatedKey: Uint8Array;
  /** What follows the request's head, where something does. */
  readonly asked?: StreamedBody | undefined;
};

/**
 * Seals the one response to a request: `head`, any number of `body`, `final`. Each gives the bytes to send, in the order of
 * the calls. A call out of order, or any call after one that failed, throws RESPONSE_MISUSED: no chunk is sealed twice.
 */
export class ResponseSealer {
  readonly #secrets: ResponseSecrets;
  readonly #nonce: Uint8Array;
  #chunks: ChunkSealer | undefined;
  #state: 'new' | 'open' | 'ended' = 'new';

  /** @param unsafeFixedNonce for test vectors only: a nonce used twice with one request seals two texts under one key stream */
  constructor(secrets: ResponseSecrets, unsafeFixedNonce?: Uint8Array) {
    this.#secrets = secrets;
    this.#nonce = unsafeFixedNonce ?? randomBytes(responseNonceLength);
  }

  /**
   * Status of 200 to 599 and the app's headers, prepared by `endToEndFields`.
   * Throws RESPONSE_MALFORMED, HEADER_REFUSED or CALL_HEADER_REFUSED for what the app made wrong; another head may then be tried.
   */
  async head(status: number, headers: Fields): Promise<Uint8Array> {
    this.#expect('new', 'head()');
    const plaintext = encodeChunkPlaintext(encodeResponseHead(status, headers, this.#secrets.asked));
    this.#state = 'open';
    const { responseSecret, encapsulatedKey } = this.#secrets;
    this.#chunks = new ChunkSealer(deriveChunkKeys(responseSecret, encapsulatedKey, this.#nonce));
    const sealed = await this.#seal(plaintext, false, this.#nonce);
    responseSecret.fill(0);
    return sealed;
  }

  /** A part of the body, in as many chunks as it needs. No bytes give one chunk of cover, which the reader drops. */
  async body(bytes: Uint8Array): Promise<Uint8Array> {
    this.#expect('open', 'body()');
    const chunks: Promise<Uint8Array>[] = [];
    let at = 0;
    do {
      chunks.push(this.#seal(encodeChunkPlaintext(bytes.subarray(at, at + maxChunkData)), false));
      at += maxChunkData;
    } while (at < bytes.length);
    const [only] = chunks;
    return chunks.length === 1 && only !== undefined ? only : concatBytes(...(await Promise.all(chunks)));
  }

  /** The end, with the signed receipt record (at most 65,020 bytes). */
  async final(trailer: Uint8Array): Promise<Uint8Array> {
    this.#expect('open', 'final()');
    const plaintext = encodeChunkPlaintext(trailer);
    this.#state = 'ended';
    const sealed = await this.#seal(plaintext, true);
    await this.#chunks?.wipe();
    return sealed;
  }

  async #seal(plaintext: Uint8Array, final: boolean, prefix?: Uint8Array): Promise<Uint8Array> {
    if (this.#chunks === undefined || this.#chunks.count >= maxChunks) throw this.#misused('too many chunks');
    try {
      return await this.#chunks.seal(plaintext, final, prefix);
    } catch (error) {
      this.#state = 'ended';
      throw error;
    }
  }

  #expect(state: 'new' | 'open', call: string): void {
    if (this.#state !== state) throw this.#misused(`${call} on a response that is "${this.#state}"`);
  }

  #misused(what: string): ChannelError {
    return new ChannelError({
      code: 'RESPONSE_MISUSED',
      message: `The response can't be sealed so: ${what}`,
      hint: 'Call head() once, body() any number of times, final() once',
    });
  }
}
