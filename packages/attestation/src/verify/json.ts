import { fromHex } from '@cloister/crypto';
import { AttestationError, type AttestationErrorCode } from './errors.ts';
import { parseIsoTime } from './x509/times.ts';

/** Deepest JSON that is read; what Intel signs has 6 levels. */
const maxDepth = 16;
/** What a character outside of strings does to the depth. */
const steps: ReadonlyMap<string, number> = new Map([
  ['{', 1],
  ['[', 1],
  ['}', -1],
  [']', -1],
]);

/** One value inside parsed JSON, with its path, read by typed accessors. Each failure names path and value under the given code. */
export class JsonValue {
  readonly path: string;
  readonly #value: unknown;
  readonly #code: AttestationErrorCode;

  constructor(value: unknown, path: string, code: AttestationErrorCode) {
    this.#value = value;
    this.path = path;
    this.#code = code;
  }

  /** Parses text; throws MALFORMED_JSON for anything that is not JSON of at most 16 levels. */
  static parse(text: string, path: string, code: AttestationErrorCode): JsonValue {
    if (isTooDeep(text)) throw malformedJson(path, `Expected at most ${maxDepth} levels of JSON at "${path}"`);
    try {
      return new JsonValue(JSON.parse(text), path, code);
    } catch (cause) {
      throw malformedJson(path, `Expected JSON at "${path}"`, cause);
    }
  }

  get absent(): boolean {
    return this.#value === undefined;
  }

  /** The value as JSON.parse gave it, for another reader. */
  get raw(): unknown {
    return this.#value;
  }

  /** A member of an object; absent ones are refused by whatever reads them. */
  member(key: string): JsonValue {
    return new JsonValue(this.#members()[key], `${this.path}.${key}`, this.#code);
  }

  /** Refuses members other than these. */
  onlyMembers(keys: readonly string[]): this {
    for (const key of Object.keys(this.#members()))
      if (!keys.includes(key)) throw this.fail(`Expected no field "${key.slice(0, 64)}"`);
    return this;
  }

  /** The members of an object whose keys are data. */
  entries(max: number): readonly (readonly [string, JsonValue])[] {
    const entries = Object.entries(this.#members());
    if (entries.length > max) throw this.fail(`Expected at most ${max} members`);
    return entries.map(([key, value]) => [
      key.slice(0, 64),
      new JsonValue(value, `${this.path}.${key.slice(0, 64)}`, this.#code),
    ]);
  }

  items(max: number): readonly JsonValue[] {
    const value = this.#value;
    if (!Array.isArray(value) || value.length > max) throw this.fail(`Expected a list of at most ${max} items`);
    return value.map((item, index) => new JsonValue(item, `${this.path}[${index}]`, this.#code));
  }

  text(max: number): string {
    const value = this.#value;
    if (typeof value !== 'string' || value.length > max) throw this.fail(`Expected text of at most ${max} characters`);
    return value;
  }

  oneOf<const Text extends string>(allowed: readonly Text[]): Text {
    const found = allowed.find((text) => text === this.#value);
    if (found === undefined) throw this.fail(`Expected "${allowed.join('" or "')}"`);
    return found;
  }

  integer(max: number): number {
    const value = this.#value;
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0 || value > max)
      throw this.fail(`Expected an integer of 0 to ${max}`);
    return value;
  }

  boolean(): boolean {
    const value = this.#value;
    if (typeof value !== 'boolean') throw this.fail('Expected true or false');
    return value;
  }

  /** Bytes in hexadecimal without prefix, exactly `length` of them. */
  bytes(length: number): Uint8Array {
    const value = this.#value;
    if (typeof value !== 'string' || value.length !== 2 * length || !/^[0-9a-fA-F]*$/.test(value))
      throw this.fail(`Expected ${length} bytes in hexadecimal`);
    return fromHex(value);
  }

  /** Bytes in hexadecimal with 0x, exactly `length` of them, in lower case. */
  prefixedHex(length: number): `0x${string}` {
    const value = this.#value;
    if (typeof value !== 'string' || value.length !== 2 + 2 * length || !/^0x[0-9a-fA-F]*$/.test(value))
      throw this.fail(`Expected 0x and ${length} bytes in hexadecimal`);
    return value.toLowerCase() as `0x${string}`;
  }

  /** Unix seconds of a date like 2025-06-19T10:16:03Z. */
  time(): number {
    const seconds = typeof this.#value === 'string' ? parseIsoTime(this.#value) : undefined;
    if (seconds === undefined) throw this.fail('Expected a date like "2025-06-19T10:16:03Z"');
    return seconds;
  }

  fail(message: string): AttestationError {
    const value = typeof this.#value === 'object' ? undefined : this.#value;
    const shown = value === undefined ? '' : `, got "${String(value).slice(0, 80)}"`;
    return new AttestationError({
      code: this.#code,
      place: this.path,
      value,
      message: `${message} at "${this.path}"${shown}`,
    });
  }

  #members(): Readonly<Record<string, unknown>> {
    const value = this.#value;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw this.fail('Expected an object');
    return value as Readonly<Record<string, unknown>>;
  }
}

/** Whether brackets outside strings nest too deep. Where text is no JSON, the parser stops at the first thing that is not. */
function isTooDeep(text: string): boolean {
  let depth = 0;
  let inString = false;
  let escaped = false;
  for (const character of text) {
    if (escaped) escaped = false;
    else if (character === '\\') escaped = true;
    else if (character === '"') inString = !inString;
    else if (!inString) depth += steps.get(character) ?? 0;
    if (depth > maxDepth) return true;
  }
  return false;
}

function malformedJson(path: string, message: string, cause?: unknown): AttestationError {
  return new AttestationError({ code: 'MALFORMED_JSON', place: path, message, cause });
}
