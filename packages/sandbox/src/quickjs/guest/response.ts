import { Body, type BodyInit, extractBody } from './body.ts';
import { utf8 } from './bytes.ts';
import { Headers, type HeadersInit } from './headers.ts';
import { URL } from './url.ts';

export type ResponseInit = { readonly status?: number; readonly statusText?: string; readonly headers?: HeadersInit };

const nullBody = [101, 204, 205, 304];
const redirects = [301, 302, 303, 307, 308];

/** Fetch Standard §5.5. */
export class Response extends Body {
  readonly #status: number;
  readonly #statusText: string;
  readonly #headers: Headers;

  constructor(body?: BodyInit, { status = 200, statusText = '', headers }: ResponseInit = {}) {
    const code = Number(status);
    if (!Number.isInteger(code) || code < 200 || code > 599)
      throw new RangeError('init["status"] must be in the range of 200 to 599, inclusive.');
    const { bytes, type } = extractBody(body);
    if (bytes !== null && nullBody.includes(code))
      throw new TypeError(`Response constructor: Invalid response status code ${code}`);
    super(bytes);
    this.#status = code;
    this.#statusText = `${statusText}`;
    this.#headers = new Headers(headers);
    if (type !== null && !this.#headers.has('content-type')) this.#headers.set('content-type', type);
  }

  static json(value: unknown, init: ResponseInit = {}): Response {
    const text = JSON.stringify(value);
    if (text === undefined) throw new TypeError('Response.json: the value is not JSON serializable');
    const headers = new Headers(init.headers);
    if (!headers.has('content-type')) headers.set('content-type', 'application/json');
    return new Response(utf8(text), { ...init, headers });
  }

  static redirect(url: string, status = 302): Response {
    const location = new URL(`${url}`).href;
    if (!redirects.includes(status)) throw new RangeError(`Invalid status code ${status}`);
    return new Response(null, { status, headers: [['location', location]] });
  }

  get type(): string {
    return 'default';
  }

  get url(): string {
    return '';
  }

  get redirected(): boolean {
    return false;
  }

  get status(): number {
    return this.#status;
  }

  get ok(): boolean {
    return this.#status < 300;
  }

  get statusText(): string {
    return this.#statusText;
  }

  get headers(): Headers {
    return this.#headers;
  }

  clone(): Response {
    const { status, statusText, headers } = this;
    return new Response(Body.bytesOf(this), { status, statusText, headers });
  }

  get [Symbol.toStringTag](): string {
    return 'Response';
  }
}
