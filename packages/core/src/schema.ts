import * as z from 'zod/mini';
import { CloisterError } from './errors.ts';
import type { Address, Bytes32, Hex } from './hex.ts';
import type { Json } from './jcs.ts';

// By name, not out of the namespace: bundlers keep all of a namespace that is used as a value, every language of zod's messages with it.
export {
  array,
  boolean,
  discriminatedUnion,
  enum as enumOf,
  exactOptional,
  literal,
  nullable,
  optional,
  record,
  strictObject,
  toJSONSchema,
  union,
} from 'zod/mini';
// The vocabulary in which the records of this package describe their JSON forms, over zod: strict objects, bounded
// values, and one error that names the place.
export type { Json } from './jcs.ts';

/** A string of at most `max` characters. */
export function text(max: number) {
  return z.string().check(
    z.maxLength(max),
    z.refine((value) => value.isWellFormed(), 'well-formed Unicode'),
  );
}

/** A string that matches the pattern. */
export function pattern(regex: RegExp, max = 256) {
  return z.string().check(z.maxLength(max), z.regex(regex));
}

/** A whole number of 0 to `max`. */
export function uint(max = Number.MAX_SAFE_INTEGER) {
  return z.int().check(z.gte(0), z.lte(max));
}

/** A whole number of `min` to `max`. */
export function intBetween(min: number, max: number) {
  return z.int().check(z.gte(min), z.lte(max));
}

/** A decimal string that fits uint`bits`, read as bigint. */
export function uintString(bits: number) {
  return z.pipe(
    uintText(bits),
    z.transform((value) => BigInt(value)),
  );
}

/** A decimal string that fits uint`bits`, kept as it is. */
export function uintText(bits: number) {
  return z.string().check(
    z.regex(/^(0|[1-9][0-9]{0,77})$/),
    z.refine((value) => !/^[0-9]{1,78}$/.test(value) || BigInt(value) >> BigInt(bits) === 0n, `uint${bits}`),
  );
}

/** 0x and exactly `bytes` bytes in lower case. */
export function hexOf(bytes: number) {
  return z.pipe(
    z.string().check(z.regex(new RegExp(`^0x[0-9a-f]{${bytes * 2}}$`))),
    z.transform((value) => value as Hex),
  );
}

/** 0x and `min` to `max` whole bytes in lower case. */
export function hexBetween(min: number, max: number) {
  return z.pipe(
    z.string().check(
      z.maxLength(2 + 2 * max),
      z.refine((value) => value.length >= 2 + 2 * min && /^0x(?:[0-9a-f]{2})*$/.test(value), `${min} to ${max} bytes`),
    ),
    z.transform((value) => value as Hex),
  );
}

export const bytes32 = hexOf(32) as unknown as z.ZodMiniType<Bytes32, unknown>;
export const address = hexOf(20) as unknown as z.ZodMiniType<Address, unknown>;
export const jsonObject = z.record(z.string().check(z.maxLength(256)), z.json()) as unknown as z.ZodMiniType<
  { readonly [key: string]: Json },
  unknown
>;

/** An absolute http or https URL without credentials, query or fragment and without a slash at its end. */
export const baseUrl = z.string().check(
  z.maxLength(512),
  z.refine((value) => {
    if (!URL.canParse(value) || value.endsWith('/')) return false;
    const url = new URL(value);
    return (
      /^https?:$/.test(url.protocol) &&
      url.username === '' &&
      url.password === '' &&
      url.search === '' &&
      url.hash === ''
    );
  }, 'an absolute http(s) URL without credentials, query or trailing slash'),
);

/** A check that an array holds `min` to `max` items. */
export function refineArray(min: number, max: number) {
  const check = z.refine(
    (items: unknown) => Array.isArray(items) && items.length >= min && items.length <= max,
    `${min} to ${max} items`,
  );
  // Where zod's own checks leave their bounds for whoever writes a JSON Schema.
  check._zod.onattach.push((schema) => Object.assign(schema._zod.bag, { minimum: min, maximum: max }));
  return check;
}

/** The form of an object with each of its fields optional; any other form as it is. */
export function inPart(form: z.ZodMiniType): z.ZodMiniType {
  if (form instanceof z.ZodMiniExactOptional) return inPart(form._zod.def.innerType as z.ZodMiniType);
  return form instanceof z.ZodMiniObject ? z.partial(form) : form;
}

/** Reads `json` by the schema; throws SchemaError naming the first place that does not fit. */
export function parseWith<Out>(schema: z.ZodMiniType<Out, unknown>, json: unknown, what: string): Out {
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const at = (issue?.path ?? []).filter((step) => typeof step !== 'symbol');
  const unknown = issue?.code === 'unrecognized_keys' ? issue.keys : [];
  const place = unknown.length === 1 ? [...at, ...unknown] : at;
  throw new SchemaError(what, ['$', ...at].join('.'), problemOf(issue), place);
}

/** What is wrong at a place; never the value, which may be a secret. */
function problemOf(issue: z.core.$ZodIssue | undefined): string {
  switch (issue?.code) {
    case 'invalid_type':
      return `expected ${issue.expected}`;
    case 'too_small':
      return `at least ${issue.minimum}`;
    case 'too_big':
      return `at most ${issue.maximum}`;
    case 'invalid_value':
      return `expected ${issue.values.map((value) => JSON.stringify(value)).join(' or ')}`;
    case 'invalid_format':
      return issue.pattern === undefined ? `no ${issue.format}` : `does not match ${issue.pattern}`;
    case 'unrecognized_keys':
      return `unknown field "${issue.keys.join('", "')}"`;
    case 'custom':
      return issue.message;
    default:
      return 'has another form';
  }
}

export class SchemaError extends CloisterError<'SCHEMA_MISMATCH'> {
  override readonly name = 'SchemaError';
  /** Names and indices that lead to the place, for who knows where these stand in a file. */
  readonly place: readonly (string | number)[];
  readonly problem: string;
  constructor(what: string, path: string, problem: string, place: readonly (string | number)[] = []) {
    super({
      code: 'SCHEMA_MISMATCH',
      message: `Expected a valid ${what}; at "${path}": ${problem}`,
      meta: { what, path },
      hint: 'Compare it with the form in docs/architecture.md',
    });
    this.place = place;
    this.problem = problem;
  }
}
