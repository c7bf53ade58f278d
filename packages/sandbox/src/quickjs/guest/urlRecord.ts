/** A URL taken apart (URL Standard §4.1). */
export type UrlRecord = {
  /** Without the ":". */
  scheme: string;
  username: string;
  password: string;
  host: string | null;
  port: number | null;
  /** Segments, or a text where it has none ("mailto:someone"). */
  path: string[] | string;
  query: string | null;
  fragment: string | null;
};

/** Special schemes with their default ports. */
export const specialSchemes: ReadonlyMap<string, number | null> = new Map([
  ['ftp', 21],
  ['file', null],
  ['http', 80],
  ['https', 443],
  ['ws', 80],
  ['wss', 443],
]);

export function emptyRecord(): UrlRecord {
  return {
    scheme: '',
    username: '',
    password: '',
    host: null,
    port: null,
    path: [],
    query: null,
    fragment: null,
  };
}

export function isSpecial({ scheme }: UrlRecord): boolean {
  return specialSchemes.has(scheme);
}

/** Whether a username, password or port would be without meaning. */
export function cannotHaveAuthority({ host, scheme }: UrlRecord): boolean {
  return host === null || host === '' || scheme === 'file';
}

export function isDriveLetter(text: string): boolean {
  return /^[A-Za-z][:|]$/.test(text);
}

/** Whether the text begins with a drive letter and nothing but a delimiter after it. */
export function startsWithDriveLetter(text: string): boolean {
  return /^[A-Za-z][:|](?:[/\\?#]|$)/.test(text);
}

/** Removes the last segment, unless it is the drive of a file. */
export function shorten({ scheme, path }: UrlRecord): void {
  if (typeof path === 'string') return;
  if (scheme === 'file' && path.length === 1 && /^[A-Za-z]:$/.test(path[0] ?? '')) return;
  path.pop();
}

export function pathText({ path }: UrlRecord): string {
  return typeof path === 'string' ? path : path.map((segment) => `/${segment}`).join('');
}

/** URL Standard §4.5. */
export function serialize(url: UrlRecord): string {
  const { scheme, username, password, host, port, path, query, fragment } = url;
  let text = `${scheme}:`;
  if (host !== null) {
    text += '//';
    if (username !== '' || password !== '') text += `${username}${password === '' ? '' : `:${password}`}@`;
    text += `${host}${port === null ? '' : `:${port}`}`;
  } else if (typeof path !== 'string' && path.length > 1 && path[0] === '') text += '/.';
  text += pathText(url);
  if (query !== null) text += `?${query}`;
  return fragment === null ? text : `${text}#${fragment}`;
}
