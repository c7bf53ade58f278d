import {
  defaultMessageLimits,
  maxChunkData,
  prefixHead,
  type RequestProgress,
  type SealedRequest,
} from '@cloister/channel/client';
import type { SignedReceipt } from '@cloister/core';
import { concatBytes } from '@cloister/crypto';
import { CallError } from './callError.ts';
import type { CallRequest } from './callTypes.ts';

/** Small parts that come shortly one after the other go as one chunk, so that sizes tell less. */
const joinWithinMs = 20;
const enoughBytes = 16_384;

/** The body of one call that is sent while it comes: taken once, as fast as the other end takes it. */
export class StreamedBody {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #maxBytes: number;
  #pending: Promise<ReadableStreamReadResult<Uint8Array>> | undefined;
  #rest: Uint8Array | undefined;
  #bytes = 0;
  #sealed: SealedRequest | undefined;
  #consumed = false;
  #failure: CallError | undefined;

  /** Throws CALL_BODY_REFUSED where somebody else reads the stream. */
  constructor(stream: ReadableStream<Uint8Array>, maxBytes: number) {
    if (stream.locked) throw new CallError('CALL_BODY_REFUSED', 'The stream of the body is already being read', false);
    this.#reader = stream.getReader();
    this.#maxBytes = maxBytes;
  }

  /** Whether anything was taken of it: then it can't be sent again. */
  get consumed(): boolean {
    return this.#consumed;
  }

  /** Why it could not be sent whole, where that is the body's own doing. */
  get failure(): CallError | undefined {
    return this.#failure;
  }

  /** The bytes of a streamed request: its sealed head, then the body's chunks as they come. */
  requestOf(sealed: SealedRequest): ReadableStream<Uint8Array> {
    const { stream } = sealed;
    if (stream === undefined) throw new TypeError('The request was not sealed for a streamed body');
    this.#sealed = sealed;
    let isBegun = false;
    return new ReadableStream<Uint8Array>(
      {
        pull: async (controller) => {
          if (!isBegun) {
            isBegun = true;
            controller.enqueue(prefixHead(sealed.encapsulated));
            return;
          }
          try {
            const data = await this.#next();
            controller.enqueue(data === undefined ? await stream.final() : await stream.chunk(data));
            if (data === undefined) controller.close();
          } catch (error) {
            controller.error(error);
          }
        },
        // Nobody wants more: the answer is over, or nobody is there. The source learns of it.
        cancel: (reason) => {
          if (this.#consumed) this.#reader.cancel(reason).catch(() => {});
        },
      },
      { highWaterMark: 0 },
    );
  }

  /** The whole body. Throws CALL_BODY_TOO_LARGE, CALL_BODY_FAILED. */
  async gathered(): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    for (let data = await this.#next(); data !== undefined; data = await this.#next()) parts.push(data);
    return concatBytes(...parts);
  }

  /** Lets the source go. */
  abandon(): void {
    this.#reader.cancel().catch(() => {});
  }

  /** What the receipt must say of the request, by the number of chunks that it names; undefined where no such number was sent. */
  progressIn({ details }: SignedReceipt): RequestProgress | undefined {
    const stated = (details.request ?? {}) as { readonly chunks?: unknown };
    return typeof stated.chunks === 'number' ? this.#sealed?.stream?.after(stated.chunks) : undefined;
  }

  /** Up to one chunk of the body, small parts joined; undefined at its end. */
  async #next(): Promise<Uint8Array | undefined> {
    const parts: Uint8Array[] = [];
    let length = 0;
    let until = Number.POSITIVE_INFINITY;
    while (length < enoughBytes) {
      const part = await this.#part(until);
      if (part === undefined) break;
      const taken = part.subarray(0, maxChunkData - length);
      this.#rest = taken.length < part.length ? part.subarray(taken.length) : undefined;
      if (taken.length === 0) continue;
      if (parts.length === 0) until = performance.now() + joinWithinMs;
      parts.push(taken);
      length += taken.length;
    }
    if (parts.length === 0) return undefined;
    const [only] = parts;
    return parts.length === 1 && only !== undefined ? only : concatBytes(...parts);
  }

  /** The next part of the source; undefined at its end, and where none comes until then. */
  async #part(until: number): Promise<Uint8Array | undefined> {
    const rest = this.#rest;
    this.#rest = undefined;
    if (rest !== undefined) return rest;
    this.#consumed = true;
    this.#pending ??= this.#reader.read();
    const next = await before(this.#pending, until).catch((cause: unknown) => {
      this.#failure = new CallError('CALL_BODY_FAILED', "The body's stream failed", false, cause);
      throw this.#failure;
    });
    if (next === undefined) return undefined;
    this.#pending = next.done ? this.#pending : undefined;
    if (next.done) return undefined;
    if (!(next.value instanceof Uint8Array)) throw this.#refuse('CALL_BODY_REFUSED', 'A body is a stream of bytes');
    this.#bytes += next.value.length;
    if (this.#bytes > this.#maxBytes)
      throw this.#refuse(
        'CALL_BODY_TOO_LARGE',
        `The body has more than the "${this.#maxBytes}" bytes that may be sent`,
        'The app\'s manifest says how much it takes ("limits.inputBytes")',
      );
    return next.value;
  }

  #refuse(code: CallError['code'], message: string, hint?: string): CallError {
    this.#failure = new CallError(code, message, false, undefined, hint);
    this.abandon();
    return this.#failure;
  }
}

/** A request that this runtime can send: where it can't stream, the body is read first. Throws CALL_BODY_TOO_LARGE, CALL_BODY_FAILED, CALL_BODY_REFUSED. */
export async function sendable(request: CallRequest): Promise<CallRequest> {
  const { body } = request;
  if (body === undefined || body instanceof Uint8Array || canStreamRequests) return request;
  return { ...request, body: await new StreamedBody(body, defaultMessageLimits.maxBodyBytes).gathered() };
}

/** Whether this runtime's fetch can send what is still being made. */
const canStreamRequests: boolean = (() => {
  try {
    let asked = false;
    const init = {
      method: 'POST',
      body: new ReadableStream(),
      get duplex() {
        asked = true;
        return 'half';
      },
    };
    // A runtime without them makes text of the stream, and says so in the headers.
    const { headers } = new Request('http://cloister.invalid', init as RequestInit);
    return asked && !headers.has('content-type');
  } catch {
    return false;
  }
})();

/** The promise's value, or undefined at that time by performance.now(). */
async function before<T>(promise: Promise<T>, atMs: number): Promise<T | undefined> {
  if (atMs === Number.POSITIVE_INFINITY) return promise;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), Math.max(0, atMs - performance.now()));
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
