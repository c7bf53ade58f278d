import { copyOf, isByteSource, textOf, utf8 } from './bytes.ts';
import { URLSearchParams } from './urlSearchParams.ts';

/** A body is whole: there are no streams. */
export type BodyInit = string | ArrayBuffer | ArrayBufferView | URLSearchParams | null | undefined;

export type ExtractedBody = { readonly bytes: ArrayBuffer | null; readonly type: string | null };

/** Fetch Standard §5.2, "extract", of the types that are offered; anything else is taken as text. */
export function extractBody(init: BodyInit): ExtractedBody {
  if (init === null || init === undefined) return { bytes: null, type: null };
  if (isByteSource(init)) return { bytes: copyOf(init, 'The body'), type: null };
  if (init instanceof URLSearchParams)
    return { bytes: utf8(init.toString()), type: 'application/x-www-form-urlencoded;charset=UTF-8' };
  return { bytes: utf8(`${init}`), type: 'text/plain;charset=UTF-8' };
}

/** What requests and responses have in common. */
export class Body {
  #bytes: ArrayBuffer | null;
  #used = false;

  constructor(bytes: ArrayBuffer | null) {
    this.#bytes = bytes;
  }

  get bodyUsed(): boolean {
    return this.#used;
  }

  async arrayBuffer(): Promise<ArrayBuffer> {
    return this.#take();
  }

  async bytes(): Promise<Uint8Array> {
    return new Uint8Array(this.#take());
  }

  async text(): Promise<string> {
    return textOf(this.#take());
  }

  async json(): Promise<unknown> {
    return JSON.parse(textOf(this.#take()));
  }

  /** The bytes, for a copy. Throws TypeError once they were read. */
  static bytesOf(body: Body): ArrayBuffer | null {
    if (body.#used) throw new TypeError('Body is unusable: Body has already been read');
    return body.#bytes;
  }

  /** The bytes, which can't be read again. */
  static take(body: Body): ArrayBuffer | null {
    const bytes = Body.bytesOf(body);
    body.#used = bytes !== null;
    return bytes;
  }

  #take(): ArrayBuffer {
    return Body.take(this)?.slice(0) ?? new ArrayBuffer(0);
  }
}
