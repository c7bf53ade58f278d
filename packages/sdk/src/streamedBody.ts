import { defaultMessageLimits, maxChunkData, prefixHead, type SealedRequest } from '@cloister/channel/client';
import { concatBytes } from '@cloister/crypto';
import { BodySource } from './bodySource.ts';
import type { CallError } from './callError.ts';
import type { CallRequest } from './callTypes.ts';

/** Small parts that come shortly one after the other go as one chunk, so that sizes tell less. */
const joinWithinMs = 20;
const enoughBytes = 16_384;

/** How far one request has taken the body: parts of the source, and bytes of the next one. */
type Place = { part: number; offset: number };

/**
 * The body of one call that is sent while it comes, as fast as the other end takes it. Until it is known that a worker took the request,
 * another one can begin with it again, as long as all that was taken is still held.
 */
export class StreamedBody {
  readonly #source: BodySource;
  #place: Place = { part: 0, offset: 0 };
  #isTaken = false;
  #isLeft = false;

  /** Throws CALL_BODY_REFUSED where somebody else reads the stream. */
  constructor(stream: ReadableStream<Uint8Array>, maxBytes: number) {
    this.#source = new BodySource(stream, maxBytes);
  }

  /** What was taken of it so far, in bytes. */
  get bytes(): number {
    return this.#source.bytes;
  }

  /** Whether a request can be made of all of it, from its beginning. */
  get isWhole(): boolean {
    return this.#source.isWhole;
  }

  /** Why it could not be sent whole, where that is the body's own doing. */
  get failure(): CallError | undefined {
    return this.#source.failure;
  }

  /** The bytes of a streamed request: its sealed head, then the body's chunks as they come. The request before it takes no more. */
  requestOf({ encapsulated, stream }: SealedRequest): ReadableStream<Uint8Array> {
    if (stream === undefined) throw new TypeError('The request was not sealed for a streamed body');
    const place: Place = { part: 0, offset: 0 };
    this.#place = place;
    this.#isLeft = false;
    let isBegun = false;
    return new ReadableStream<Uint8Array>(
      {
        pull: async (controller) => {
          if (this.#place !== place) return controller.error(new TypeError('Another request has begun with this body'));
          if (!isBegun) {
            isBegun = true;
            controller.enqueue(prefixHead(encapsulated));
            return;
          }
          try {
            const data = await this.#next(place);
            controller.enqueue(data === undefined ? await stream.final() : await stream.chunk(data));
            if (data === undefined) controller.close();
          } catch (error) {
            controller.error(error);
          }
        },
        // Nobody wants more: the answer is over, or nobody is there. The source learns of it unless another request may begin.
        cancel: (reason) => {
          if (this.#place !== place) return;
          this.#isLeft = true;
          if (this.#isTaken) this.#source.cancel(reason);
        },
      },
      { highWaterMark: 0 },
    );
  }

  /** A worker has taken the request: no other one will be made of this body. */
  taken(): void {
    this.#isTaken = true;
    this.#source.release();
    this.#source.taken(this.#place.part);
    if (this.#isLeft) this.#source.cancel();
  }

  /** The whole body. Throws CALL_BODY_TOO_LARGE, CALL_BODY_FAILED. */
  async gathered(): Promise<Uint8Array> {
    this.#source.release();
    const parts: Uint8Array[] = [];
    for (let data = await this.#next(this.#place); data !== undefined; data = await this.#next(this.#place))
      parts.push(data);
    return concatBytes(...parts);
  }

  /** Lets the source go. */
  abandon(): void {
    this.#source.cancel();
  }

  /** Up to one chunk of the body, small parts joined; undefined at its end. */
  async #next(place: Place): Promise<Uint8Array | undefined> {
    const parts: Uint8Array[] = [];
    let length = 0;
    let until = Number.POSITIVE_INFINITY;
    while (length < enoughBytes) {
      const part = await this.#source.part(place.part, until);
      if (part === undefined) break;
      const data = part.subarray(place.offset, place.offset + maxChunkData - length);
      place.offset += data.length;
      if (place.offset === part.length) {
        place.part += 1;
        place.offset = 0;
      }
      if (parts.length === 0) until = performance.now() + joinWithinMs;
      parts.push(data);
      length += data.length;
    }
    if (place === this.#place) this.#source.taken(place.part);
    if (parts.length === 0) return undefined;
    const [only] = parts;
    return parts.length === 1 && only !== undefined ? only : concatBytes(...parts);
  }
}

/**
 * A request that this runtime can send by these gateways: where it can't stream, the body is read first. Throws CALL_BODY_TOO_LARGE,
 * CALL_BODY_FAILED, CALL_BODY_REFUSED.
 */
export async function sendable(request: CallRequest, gateways: readonly string[]): Promise<CallRequest> {
  const { body } = request;
  if (body === undefined || body instanceof Uint8Array || canStreamTo(gateways)) return request;
  return { ...request, body: await new StreamedBody(body, defaultMessageLimits.maxBodyBytes).gathered() };
}

/** Browsers stream over HTTP/2 and later alone, and speak that by https alone: by http, Chromium fails the request before it is sent. */
function canStreamTo(gateways: readonly string[]): boolean {
  const isBrowser = 'isSecureContext' in globalThis;
  return canStreamRequests && !(isBrowser && gateways.some((url) => !url.startsWith('https:')));
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
