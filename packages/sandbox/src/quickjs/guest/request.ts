import { Body, type BodyInit, extractBody } from './body.ts';
import { Headers, type HeadersInit } from './headers.ts';
import { URL } from './url.ts';

export type RequestInit = {
  readonly method?: string;
  readonly headers?: HeadersInit;
  readonly body?: BodyInit;
};

const upperCased = /^(?:delete|get|head|options|post|put)$/i;
const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** Fetch Standard §5.4, without what a fetch alone would use. */
export class Request extends Body {
  readonly #method: string;
  readonly #url: string;
  readonly #headers: Headers;

  constructor(input: Request | URL | string, init: RequestInit = {}) {
    const from = input instanceof Request ? input : undefined;
    const method = init.method === undefined ? (from?.method ?? 'GET') : methodOf(init.method);
    const { bytes, type } =
      init.body === undefined && from !== undefined ? { bytes: Body.take(from), type: null } : extractBody(init.body);
    if (bytes !== null && (method === 'GET' || method === 'HEAD'))
      throw new TypeError('Request with GET/HEAD method cannot have body.');
    super(bytes);
    this.#method = method;
    this.#url = from?.url ?? urlOf(`${input}`);
    this.#headers = new Headers(init.headers ?? from?.headers);
    if (type !== null && !this.#headers.has('content-type')) this.#headers.set('content-type', type);
  }

  get method(): string {
    return this.#method;
  }

  get url(): string {
    return this.#url;
  }

  get headers(): Headers {
    return this.#headers;
  }

  clone(): Request {
    const { method, headers } = this;
    const bytes = Body.bytesOf(this);
    return new Request(this.#url, { method, headers, ...(bytes !== null && { body: bytes }) });
  }

  get [Symbol.toStringTag](): string {
    return 'Request';
  }
}

function methodOf(method: unknown): string {
  const text = `${method}`;
  if (!token.test(text) || /^(?:connect|trace|track)$/i.test(text))
    throw new TypeError(`'${text}' is not a valid HTTP method.`);
  return upperCased.test(text) ? text.toUpperCase() : text;
}

function urlOf(text: string): string {
  const { href, username, password } = new URL(text);
  if (username !== '' || password !== '')
    throw new TypeError(`Request cannot be constructed from a URL that includes credentials: ${text}`);
  return href;
}
