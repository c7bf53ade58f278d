import { encodeSets, percentEncode } from './percent.ts';
import { parseHost } from './urlHost.ts';
import {
  emptyRecord,
  isDriveLetter,
  isSpecial,
  shorten,
  specialSchemes,
  startsWithDriveLetter,
  type UrlRecord,
} from './urlRecord.ts';

/** URL Standard §4.4, the basic parser without a state override; undefined where it fails. */
export function parseUrl(text: string, base?: UrlRecord): UrlRecord | undefined {
  const input = text
    .toWellFormed()
    .replace(/^[\0-\x20]+|[\0-\x20]+$/g, '')
    .replace(/[\t\n\r]/g, '');
  const hash = input.indexOf('#');
  const front = hash === -1 ? input : input.slice(0, hash);
  const url = parseFront(front, base, hash !== -1);
  if (url === undefined || hash === -1) return url;
  url.fragment = percentEncode(input.slice(hash + 1), encodeSets.fragment);
  return url;
}

/** All but the fragment. */
function parseFront(input: string, base: UrlRecord | undefined, hasFragment: boolean): UrlRecord | undefined {
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):/.exec(input)?.[1]?.toLowerCase();
  const url = emptyRecord();
  if (scheme === undefined) return base === undefined ? undefined : parseRelative(input, url, base, hasFragment);
  url.scheme = scheme;
  const rest = input.slice(scheme.length + 1);
  if (scheme === 'file') return parseFile(rest, url, base?.scheme === 'file' ? base : undefined);
  if (isSpecial(url)) {
    if (base?.scheme === scheme && !/^[/\\]{2}/.test(rest) && typeof base.path !== 'string' && !rest.startsWith('//'))
      return parseFromBase(rest, url, base);
    return parseAuthority(rest.replace(/^[/\\]*/, ''), url);
  }
  if (rest.startsWith('//')) return parseAuthority(rest.slice(2), url);
  if (rest.startsWith('/')) return parsePath(rest, url);
  const [path, query] = splitQuery(rest);
  url.path = opaquePath(path, query !== undefined || hasFragment);
  return setQuery(url, query);
}

/** A trailing space of an opaque path would get lost where something follows or is cut off: it is written as "%20". */
function opaquePath(path: string, isFollowed: boolean): string {
  const encoded = percentEncode(path, encodeSets.control);
  return isFollowed ? encoded.replace(/ $/, '%20') : encoded;
}

function parseRelative(input: string, url: UrlRecord, base: UrlRecord, hasFragment: boolean): UrlRecord | undefined {
  if (typeof base.path === 'string') {
    if (input !== '' || !hasFragment) return undefined;
    return Object.assign(url, base, { fragment: null });
  }
  url.scheme = base.scheme;
  return base.scheme === 'file' ? parseFile(input, url, base) : parseFromBase(input, url, base);
}

/** "Relative state" and "relative slash state". */
function parseFromBase(input: string, url: UrlRecord, base: UrlRecord): UrlRecord | undefined {
  const slashes = isSpecial(url) ? /^[/\\]+/ : /^\/+/;
  const leading = slashes.exec(input)?.[0] ?? '';
  if (leading.length >= 2) return parseAuthority(input.slice(isSpecial(url) ? leading.length : 2), url);
  const { username, password, host, port } = base;
  Object.assign(url, { username, password, host, port });
  return leading.length === 1 ? parsePath(input, url) : parseBelow(input, url, base);
}

/** What follows the path of a base: a query, or segments in the place of its last one. */
function parseBelow(input: string, url: UrlRecord, base: UrlRecord): UrlRecord {
  url.path = [...(base.path as string[])];
  if (input === '') {
    url.query = base.query;
    return url;
  }
  if (input.startsWith('?')) return setQuery(url, input.slice(1));
  shorten(url);
  return parsePath(input, url);
}

/** "Authority state" to "port state": credentials, host and port, then the path. */
function parseAuthority(input: string, url: UrlRecord): UrlRecord | undefined {
  const end = input.search(isSpecial(url) ? /[/\\?]/ : /[/?]/);
  const authority = end === -1 ? input : input.slice(0, end);
  const at = authority.lastIndexOf('@');
  if (at !== -1) {
    const [, username = '', password = ''] = /^([^:]*):?(.*)$/s.exec(authority.slice(0, at)) ?? [];
    url.username = percentEncode(username, encodeSets.userinfo);
    url.password = percentEncode(password, encodeSets.userinfo);
    if (at === authority.length - 1) return undefined;
  }
  const place = authority.slice(at + 1);
  const colon = portColon(place);
  const hostText = colon === -1 ? place : place.slice(0, colon);
  if (hostText === '' && (isSpecial(url) || colon !== -1)) return undefined;
  const host = hostText === '' ? '' : parseHost(hostText, isSpecial(url));
  if (host === undefined) return undefined;
  url.host = host;
  if (colon !== -1) {
    const port = place.slice(colon + 1);
    if (!/^[0-9]*$/.test(port) || Number(port) > 0xffff) return undefined;
    url.port = port === '' || Number(port) === specialSchemes.get(url.scheme) ? null : Number(port);
  }
  return parsePath(end === -1 ? '' : input.slice(end), url);
}

/** Where the port begins: the first ":" outside of brackets. */
export function portColon(place: string): number {
  let inside = false;
  for (const [index, character] of [...place].entries()) {
    if (character === '[') inside = true;
    else if (character === ']') inside = false;
    else if (character === ':' && !inside) return [...place].slice(0, index).join('').length;
  }
  return -1;
}

/** "File state", "file slash state" and "file host state". */
function parseFile(input: string, url: UrlRecord, base: UrlRecord | undefined): UrlRecord | undefined {
  url.host = '';
  if (/^[/\\]{2}/.test(input)) return parseFileHost(input.slice(2), url);
  const drive = typeof base?.path === 'object' ? base.path[0] : undefined;
  if (/^[/\\]/.test(input)) {
    if (base !== undefined) {
      url.host = base.host;
      if (!startsWithDriveLetter(input.slice(1)) && drive !== undefined && /^[A-Za-z]:$/.test(drive))
        url.path = [drive];
    }
    return parsePath(input, url);
  }
  if (base === undefined) return parsePath(input, url);
  url.host = base.host;
  if (!startsWithDriveLetter(input)) return parseBelow(input, url, base);
  return parsePath(input, url);
}

function parseFileHost(input: string, url: UrlRecord): UrlRecord | undefined {
  const end = input.search(/[/\\?]/);
  const text = end === -1 ? input : input.slice(0, end);
  if (isDriveLetter(text)) return parsePath(input, url);
  const host = text === '' ? '' : parseHost(text, true);
  if (host === undefined) return undefined;
  url.host = host === 'localhost' ? '' : host;
  return parsePath(end === -1 ? '' : input.slice(end), url);
}

/** "Path start state" and "path state": adds segments to those that are there, then the query. */
export function parsePath(input: string, url: UrlRecord): UrlRecord {
  const [text, query] = splitQuery(input);
  const separator = isSpecial(url) ? /[/\\]/ : /\//;
  if (text !== '' || isSpecial(url))
    addSegments((separator.test(text[0] ?? '') ? text.slice(1) : text).split(separator), url);
  return setQuery(url, query);
}

function addSegments(segments: readonly string[], url: UrlRecord): void {
  const path = url.path as string[];
  for (const [index, raw] of segments.entries()) {
    const isLast = index === segments.length - 1;
    const plain = raw.replace(/%2e/gi, '.');
    if (plain === '..') {
      shorten(url);
      if (isLast) path.push('');
    } else if (plain === '.') {
      if (isLast) path.push('');
    } else {
      const isDrive = url.scheme === 'file' && path.length === 0 && isDriveLetter(raw);
      path.push(percentEncode(isDrive ? `${raw[0]}:` : raw, encodeSets.path));
    }
  }
}

function setQuery(url: UrlRecord, query: string | undefined): UrlRecord {
  if (query !== undefined)
    url.query = percentEncode(query, isSpecial(url) ? encodeSets.specialQuery : encodeSets.query);
  return url;
}

function splitQuery(text: string): readonly [path: string, query: string | undefined] {
  const at = text.indexOf('?');
  return at === -1 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}
