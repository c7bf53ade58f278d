export type HeadersInit = Headers | Iterable<Iterable<string>> | { readonly [name: string]: string };

const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: NUL, CR and LF are what a value may not have
const badValue = /[\0\r\n]|[^\x00-\xff]/;

/** Fetch Standard §5.1, with the guard "none". */
export class Headers {
  /** Names in lower case, in the order in which they came. */
  #list: [name: string, value: string][] = [];

  constructor(init?: HeadersInit) {
    if (init === undefined) return;
    if (init === null || (typeof init !== 'object' && typeof init !== 'function'))
      throw new TypeError('Headers: the values are neither a list of pairs nor an object');
    if (!(Symbol.iterator in init)) {
      for (const name of Reflect.ownKeys(init)) {
        if (!Object.getOwnPropertyDescriptor(init, name)?.enumerable) continue;
        if (typeof name === 'symbol') throw new TypeError('Headers: a name is a symbol');
        this.append(name, (init as { readonly [name: string]: string })[name] as string);
      }
      return;
    }
    for (const pair of init as Iterable<Iterable<string>>) {
      const parts = [...pair];
      if (parts.length !== 2) throw new TypeError('Headers: a pair does not have two parts');
      this.append(parts[0] as string, parts[1] as string);
    }
  }

  append(name: string, value: string): void {
    this.#list.push([nameOf(name), checkedValue(value)]);
  }

  set(name: string, value: string): void {
    const [wanted, text] = [nameOf(name), checkedValue(value)];
    const first = this.#list.findIndex(([known]) => known === wanted);
    if (first === -1) this.#list.push([wanted, text]);
    else
      this.#list = this.#list
        .map((entry, index): [string, string] => (index === first ? [wanted, text] : entry))
        .filter(([known], index) => known !== wanted || index === first);
  }

  delete(name: string): void {
    const wanted = nameOf(name);
    this.#list = this.#list.filter(([known]) => known !== wanted);
  }

  get(name: string): string | null {
    const wanted = nameOf(name);
    const values = this.#list.filter(([known]) => known === wanted).map(([, value]) => value);
    return values.length === 0 ? null : values.join(', ');
  }

  getSetCookie(): string[] {
    return this.#list.filter(([name]) => name === 'set-cookie').map(([, value]) => value);
  }

  has(name: string): boolean {
    const wanted = nameOf(name);
    return this.#list.some(([known]) => known === wanted);
  }

  forEach(each: (value: string, name: string, headers: Headers) => void, receiver?: unknown): void {
    for (const [name, value] of this) each.call(receiver, value, name, this);
  }

  /** Sorted by name, values of one name joined but for "set-cookie". */
  *entries(): IterableIterator<[string, string]> {
    const names = [...new Set(this.#list.map(([name]) => name))].sort();
    for (const name of names) {
      if (name === 'set-cookie') for (const value of this.getSetCookie()) yield [name, value];
      else yield [name, this.get(name) ?? ''];
    }
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
    return 'Headers';
  }
}

function nameOf(name: unknown): string {
  const text = `${name}`;
  if (!token.test(text)) throw new TypeError(`"${text}" is an invalid header name`);
  return text.toLowerCase();
}

function checkedValue(value: unknown): string {
  const text = `${value}`.replace(/^[\t\n\r ]+|[\t\n\r ]+$/g, '');
  if (badValue.test(text)) throw new TypeError('A header has an invalid value');
  return text;
}
