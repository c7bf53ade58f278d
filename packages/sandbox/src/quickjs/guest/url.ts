import { encodeSets, percentEncode } from './percent.ts';
import { parseHost } from './urlHost.ts';
import { parsePath, parseUrl, portColon } from './urlParser.ts';
import { cannotHaveAuthority, isSpecial, pathText, serialize, specialSchemes, type UrlRecord } from './urlRecord.ts';
import { URLSearchParams } from './urlSearchParams.ts';

/** URL Standard §6.1, for hosts in ASCII. */
export class URL {
  #url: UrlRecord;
  #params: URLSearchParams | undefined;

  constructor(text: string, base?: string | URL) {
    const from = base === undefined ? undefined : parseUrl(`${base}`);
    const parsed = base !== undefined && from === undefined ? undefined : parseUrl(`${text}`, from);
    if (parsed === undefined) throw new TypeError('Invalid URL');
    this.#url = parsed;
  }

  static canParse(text: string, base?: string | URL): boolean {
    return URL.parse(text, base) !== null;
  }

  static parse(text: string, base?: string | URL): URL | null {
    try {
      return new URL(text, base);
    } catch {
      return null;
    }
  }

  get href(): string {
    return serialize(this.#url);
  }

  set href(text: string) {
    const parsed = parseUrl(`${text}`);
    if (parsed === undefined) throw new TypeError('Invalid URL');
    this.#url = parsed;
    this.#renewParams();
  }

  get origin(): string {
    const { scheme } = this.#url;
    if (scheme === 'blob') return blobOrigin(pathText(this.#url));
    return !isSpecial(this.#url) || scheme === 'file' ? 'null' : `${scheme}://${this.host}`;
  }

  get protocol(): string {
    return `${this.#url.scheme}:`;
  }

  set protocol(text: string) {
    const url = this.#url;
    const scheme = /^([A-Za-z][A-Za-z0-9+.-]*)(?::|$)/.exec(cleaned(text))?.[1]?.toLowerCase();
    if (scheme === undefined || specialSchemes.has(scheme) !== isSpecial(url)) return;
    if (scheme === 'file' && (url.username !== '' || url.password !== '' || url.port !== null)) return;
    if (url.scheme === 'file' && url.host === '') return;
    url.scheme = scheme;
    if (url.port === specialSchemes.get(scheme)) url.port = null;
  }

  get username(): string {
    return this.#url.username;
  }

  set username(text: string) {
    if (!cannotHaveAuthority(this.#url)) this.#url.username = percentEncode(`${text}`, encodeSets.userinfo);
  }

  get password(): string {
    return this.#url.password;
  }

  set password(text: string) {
    if (!cannotHaveAuthority(this.#url)) this.#url.password = percentEncode(`${text}`, encodeSets.userinfo);
  }

  get host(): string {
    const { host, port } = this.#url;
    return host === null ? '' : port === null ? host : `${host}:${port}`;
  }

  set host(text: string) {
    const place = this.#placeOf(text);
    const colon = portColon(place);
    // The host of a file has no port: a ":" is part of it, and wrong.
    if (colon !== -1 && this.#url.scheme === 'file') return;
    if (this.#setHost(colon === -1 ? place : place.slice(0, colon), colon !== -1) && colon !== -1)
      this.#setPort(place.slice(colon + 1));
  }

  get hostname(): string {
    return this.#url.host ?? '';
  }

  set hostname(text: string) {
    const place = this.#placeOf(text);
    if (portColon(place) === -1) this.#setHost(place, false);
  }

  get port(): string {
    return this.#url.port === null ? '' : `${this.#url.port}`;
  }

  set port(text: string) {
    if (cannotHaveAuthority(this.#url)) return;
    if (`${text}` === '') this.#url.port = null;
    else this.#setPort(cleaned(text));
  }

  get pathname(): string {
    return pathText(this.#url);
  }

  set pathname(text: string) {
    const url = this.#url;
    if (typeof url.path === 'string') return;
    url.path = [];
    const path = cleaned(text);
    if (path === '' && !isSpecial(url) && url.host === null) url.path.push('');
    // What would begin a query belongs to the path here.
    else parsePath(path.replaceAll('?', '%3F'), { ...url, path: url.path, query: null });
  }

  get search(): string {
    const { query } = this.#url;
    return query === null || query === '' ? '' : `?${query}`;
  }

  set search(text: string) {
    const url = this.#url;
    const query = cleaned(text).replace(/^\?/, '');
    const set = isSpecial(url) ? encodeSets.specialQuery : encodeSets.query;
    url.query = `${text}` === '' ? null : percentEncode(query, set);
    this.#renewParams();
  }

  get searchParams(): URLSearchParams {
    this.#params ??= URLSearchParams.ofUrl(this.#url.query ?? '', (query) => {
      this.#url.query = query === '' ? null : query;
    });
    return this.#params;
  }

  get hash(): string {
    const { fragment } = this.#url;
    return fragment === null || fragment === '' ? '' : `#${fragment}`;
  }

  set hash(text: string) {
    const fragment = cleaned(text).replace(/^#/, '');
    this.#url.fragment = `${text}` === '' ? null : percentEncode(fragment, encodeSets.fragment);
  }

  toString(): string {
    return this.href;
  }

  toJSON(): string {
    return this.href;
  }

  get [Symbol.toStringTag](): string {
    return 'URL';
  }

  /** The part of a text that can be host and port. */
  #placeOf(text: string): string {
    const place = cleaned(text);
    const end = place.search(isSpecial(this.#url) ? /[/\\?#]/ : /[/?#]/);
    return end === -1 ? place : place.slice(0, end);
  }

  #setHost(text: string, hasPort: boolean): boolean {
    const url = this.#url;
    if (typeof url.path === 'string') return false;
    const isFile = url.scheme === 'file';
    if (text === '' && ((isSpecial(url) && !isFile) || hasPort)) return false;
    if (text === '' && (url.username !== '' || url.password !== '' || url.port !== null)) return false;
    const host = text === '' ? '' : parseHost(text, isSpecial(url));
    if (host === undefined) return false;
    url.host = isFile && host === 'localhost' ? '' : host;
    return true;
  }

  #setPort(text: string): void {
    const digits = /^[0-9]+/.exec(text)?.[0];
    if (digits === undefined || Number(digits) > 0xffff) return;
    this.#url.port = Number(digits) === specialSchemes.get(this.#url.scheme) ? null : Number(digits);
  }

  #renewParams(): void {
    if (this.#params !== undefined) URLSearchParams.renew(this.#params, this.#url.query ?? '');
  }
}

function cleaned(text: unknown): string {
  return `${text}`.toWellFormed().replace(/[\t\n\r]/g, '');
}

function blobOrigin(path: string): string {
  const inner = URL.parse(path);
  return inner !== null && (inner.protocol === 'http:' || inner.protocol === 'https:') ? inner.origin : 'null';
}
