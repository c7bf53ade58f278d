import { utf8 } from './bytes.ts';
import { percentByte, percentDecode } from './percent.ts';

export type SearchParamsInit =
  | string
  | URLSearchParams
  | Iterable<Iterable<string>>
  | { readonly [name: string]: string };

/** URL Standard §6.2. */
export class URLSearchParams {
  #list: [name: string, value: string][] = [];
  /** Where the parameters are those of a URL: told when they change. */
  #changed: ((query: string) => void) | undefined;

  constructor(init: SearchParamsInit = '') {
    if (init === null || (typeof init !== 'object' && typeof init !== 'function')) {
      this.#list = parse(`${init}`.replace(/^\?/, ''));
      return;
    }
    if (Symbol.iterator in init) {
      for (const pair of init as Iterable<Iterable<string>>) {
        const parts = [...pair];
        if (parts.length !== 2) throw new TypeError('URLSearchParams: a pair does not have two parts');
        this.#list.push([textOf(parts[0]), textOf(parts[1])]);
      }
      return;
    }
    const found = new Map<string, string>();
    for (const name of Object.keys(init)) found.set(textOf(name), textOf(init[name]));
    this.#list = [...found];
  }

  /** The parameters of a URL, which is told of each change. */
  static ofUrl(query: string, changed: (query: string) => void): URLSearchParams {
    const params = new URLSearchParams(query);
    params.#changed = changed;
    return params;
  }

  /** Reads them anew, after the URL's query was set. */
  static renew(params: URLSearchParams, query: string): void {
    params.#list = parse(query);
  }

  get size(): number {
    return this.#list.length;
  }

  append(name: string, value: string): void {
    this.#list.push([textOf(name), textOf(value)]);
    this.#tell();
  }

  delete(name: string, value?: string): void {
    const wanted = textOf(name);
    this.#list = this.#list.filter((pair) => pair[0] !== wanted || (value !== undefined && pair[1] !== textOf(value)));
    this.#tell();
  }

  get(name: string): string | null {
    const wanted = textOf(name);
    return this.#list.find((pair) => pair[0] === wanted)?.[1] ?? null;
  }

  getAll(name: string): string[] {
    const wanted = textOf(name);
    return this.#list.filter((pair) => pair[0] === wanted).map((pair) => pair[1]);
  }

  has(name: string, value?: string): boolean {
    const wanted = textOf(name);
    return this.#list.some((pair) => pair[0] === wanted && (value === undefined || pair[1] === textOf(value)));
  }

  set(name: string, value: string): void {
    const [wanted, text] = [textOf(name), textOf(value)];
    const first = this.#list.findIndex((pair) => pair[0] === wanted);
    if (first === -1) this.#list.push([wanted, text]);
    else {
      this.#list = this.#list.filter((pair, index) => pair[0] !== wanted || index === first);
      this.#list[first] = [wanted, text];
    }
    this.#tell();
  }

  /** By code units of the names; equal ones stay in their order. */
  sort(): void {
    this.#list.sort(([left], [right]) => (left < right ? -1 : left > right ? 1 : 0));
    this.#tell();
  }

  forEach(each: (value: string, name: string, params: URLSearchParams) => void, receiver?: unknown): void {
    for (const [name, value] of this) each.call(receiver, value, name, this);
  }

  *entries(): IterableIterator<[string, string]> {
    for (let at = 0; at < this.#list.length; at += 1) yield [...(this.#list[at] as [string, string])];
  }

  *keys(): IterableIterator<string> {
    for (const [name] of this.entries()) yield name;
  }

  *values(): IterableIterator<string> {
    for (const [, value] of this.entries()) yield value;
  }

  [Symbol.iterator](): IterableIterator<[string, string]> {
    return this.entries();
  }

  get [Symbol.toStringTag](): string {
    return 'URLSearchParams';
  }

  toString(): string {
    return this.#list.map(([name, value]) => `${formEncode(name)}=${formEncode(value)}`).join('&');
  }

  #tell(): void {
    this.#changed?.(this.toString());
  }
}

function textOf(value: unknown): string {
  return `${value}`.toWellFormed();
}

/** application/x-www-form-urlencoded, URL Standard §5.1. */
function parse(query: string): [string, string][] {
  const decode = (text: string): string => percentDecode(text.replaceAll('+', ' ').toWellFormed());
  return query
    .split('&')
    .filter((part) => part !== '')
    .map((part) => {
      const at = part.indexOf('=');
      return at === -1 ? [decode(part), ''] : [decode(part.slice(0, at)), decode(part.slice(at + 1))];
    });
}

function formEncode(text: string): string {
  let encoded = '';
  for (const byte of new Uint8Array(utf8(text))) {
    const character = String.fromCharCode(byte);
    encoded += byte === 0x20 ? '+' : /[*\-._0-9A-Za-z]/.test(character) ? character : percentByte(byte);
  }
  return encoded;
}
