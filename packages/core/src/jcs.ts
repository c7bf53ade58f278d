import { fromUtf8, sha256, toHex, utf8 } from '@cloister/crypto';
import { CloisterError } from './errors.ts';
import type { Bytes32 } from './hex.ts';

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

const maxDepth = 32;

/**
 * The canonical text of a JSON value (RFC 8785): members sorted by UTF-16 code units, no white space, numbers and
 * strings as ECMAScript prints them. Members that are undefined are left out. Throws JCS_NOT_JSON for anything that
 * JSON can't hold (bigint, NaN, lone surrogates, functions) and for more than 32 levels.
 */
export function canonicalJson(value: unknown): string {
  return canonical(value, '$', 0);
}

/** sha256 over the canonical bytes: the id of manifests, network files and details. */
export function jcsId(value: unknown): Bytes32 {
  return toHex(sha256(utf8(canonicalJson(value))));
}

/**
 * Parses JSON of at most `maxBytes` that must already be in canonical form: no second text has the same id, no member
 * stands twice. Throws JSON_TOO_LARGE, JSON_MALFORMED, JSON_NOT_CANONICAL.
 */
export function parseCanonicalJson(bytes: Uint8Array, maxBytes: number, what: string): Json {
  const { value, text } = parse(bytes, maxBytes, what);
  if (canonicalJson(value) !== text)
    throw new JsonError('JSON_NOT_CANONICAL', `Expected ${what} in canonical form (RFC 8785)`, '$');
  return value;
}

/** Parses JSON of at most `maxBytes` and 32 levels. Throws JSON_TOO_LARGE, JSON_MALFORMED. */
export function parseBoundedJson(bytes: Uint8Array, maxBytes: number, what: string): Json {
  return parse(bytes, maxBytes, what).value;
}

function parse(bytes: Uint8Array, maxBytes: number, what: string): { value: Json; text: string } {
  if (bytes.length > maxBytes)
    throw new JsonError('JSON_TOO_LARGE', `Expected ${what} of at most ${maxBytes} bytes, got "${bytes.length}"`, '$');
  try {
    const text = fromUtf8(bytes);
    const value = JSON.parse(text) as Json;
    canonicalJson(value);
    return { value, text };
  } catch (cause) {
    if (cause instanceof JsonError) throw cause;
    throw new JsonError('JSON_MALFORMED', `Expected ${what} to be JSON in UTF-8`, '$', cause);
  }
}

function canonical(value: unknown, path: string, depth: number): string {
  if (depth > maxDepth) throw new JsonError('JCS_NOT_JSON', `Expected at most ${maxDepth} levels of JSON`, path);
  if (value === null || typeof value === 'boolean') return JSON.stringify(value);
  if (typeof value === 'number' && Number.isFinite(value)) return JSON.stringify(value);
  if (typeof value === 'string' && value.isWellFormed()) return JSON.stringify(value);
  if (Array.isArray(value))
    return `[${value.map((item, index) => canonical(item, `${path}[${index}]`, depth + 1)).join(',')}]`;
  if (typeof value === 'object') {
    const members = Object.entries(value).filter(([, member]) => member !== undefined);
    members.sort(([left], [right]) => (left < right ? -1 : left > right ? 1 : 0));
    return `{${members.map(([key, member]) => `${canonical(key, path, depth)}:${canonical(member, `${path}.${key}`, depth + 1)}`).join(',')}}`;
  }
  throw new JsonError('JCS_NOT_JSON', `Expected JSON at "${path}", got a ${typeof value}`, path);
}

export type JsonErrorCode = 'JCS_NOT_JSON' | 'JSON_TOO_LARGE' | 'JSON_MALFORMED' | 'JSON_NOT_CANONICAL';

export class JsonError extends CloisterError<JsonErrorCode> {
  override readonly name = 'JsonError';
  constructor(code: JsonErrorCode, message: string, path: string, cause?: unknown) {
    super({ code, message, meta: { path }, cause });
  }
}
