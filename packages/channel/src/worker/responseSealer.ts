import { concatBytes, engine, randomBytes } from '@cloister/crypto';
import { ChannelError } from '../shared/channelError.ts';
import { encodeChunkHeader, encodeChunkPlaintext, maxChunkData } from '../shared/chunk.ts';
import type { Fields } from '../shared/fieldSection.ts';
import { finalAad, noBytes } from '../shared/labels.ts';
import { encodeResponseHead } from '../shared/responseHead.ts';
import { chunkNonce, deriveResponseKeys, type ResponseKeys, responseNonceLength } from '../shared/responseKeys.ts';

/** Far below the limit of AES-GCM, far above any response. */
const maxChunks = 2 ** 32;

type ResponseSecrets = { readonly responseSecret: Uint8Array; readonly encapsulatedKey: Uint8Array };

/**
 * Seals the one response to a request: `head`, any number of `body`, `final`. Each gives the bytes to send, in the order of
 * the calls. A call out of order, or any call after one that failed, throws RESPONSE_MISUSED: no chunk is sealed twice.
 */
export class ResponseSealer {
  readonly #secrets: ResponseSecrets;
  readonly #nonce: Uint8Array;
  #keys: Promise<ResponseKeys> | undefined;
  #state: 'new' | 'open' | 'ended' = 'new';
  #counter = 0;

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
    const plaintext = encodeChunkPlaintext(encodeResponseHead(status, headers));
    this.#state = 'open';
    this.#keys = deriveResponseKeys(this.#secrets.responseSecret, this.#secrets.encapsulatedKey, this.#nonce);
    const sealed = await this.#seal(plaintext, false, this.#nonce);
    this.#secrets.responseSecret.fill(0);
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
    (await this.#keys)?.key.fill(0);
    return sealed;
  }

  async #seal(plaintext: Uint8Array, final: boolean, prefix: Uint8Array = noBytes): Promise<Uint8Array> {
    // The place is taken before anything is awaited: calls that overlap never share a nonce.
    const counter = this.#counter++;
    if (counter >= maxChunks || this.#keys === undefined) throw this.#misused('too many chunks');
    try {
      const keys = await this.#keys;
      const sealed = await engine.aes256GcmSeal(
        keys.key,
        chunkNonce(keys.nonce, counter),
        final ? finalAad : noBytes,
        plaintext,
      );
      return concatBytes(prefix, encodeChunkHeader(sealed.length, final), sealed);
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
