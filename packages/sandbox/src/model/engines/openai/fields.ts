import { ApiError, invalidValue } from './apiError.ts';

export type JsonObject = { readonly [name: string]: unknown };

/** A request's body. */
export function jsonBody(body: Uint8Array): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    throw new ApiError(400, 'invalid_json', 'The body is not JSON');
  }
  if (isObject(value)) return value;
  throw new ApiError(400, 'invalid_json', 'The body is not a JSON object');
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A number in a range, both ends included; undefined where it is absent or null. */
export function numberIn(body: JsonObject, name: string, least: number, most: number): number | undefined {
  const value = body[name] ?? undefined;
  if (value === undefined) return undefined;
  if (typeof value === 'number' && value >= least && value <= most) return value;
  throw invalidValue(name, `a number from ${least} to ${most}`);
}

export function integerIn(body: JsonObject, name: string, least: number, most: number): number | undefined {
  const value = numberIn(body, name, least, most);
  if (value === undefined || Number.isSafeInteger(value)) return value;
  throw invalidValue(name, 'a whole number');
}

export function flag(body: JsonObject, name: string): boolean {
  const value = body[name] ?? false;
  if (typeof value === 'boolean') return value;
  throw invalidValue(name, 'true or false');
}

/**
 * Refuses what would otherwise be left out in silence: an answer must be of the request that was made. `place`: what stands before a
 * name in the body.
 */
export function refuseUnknown(body: JsonObject, known: ReadonlySet<string>, place = ''): void {
  const odd = Object.entries(body).find(([name, value]) => !known.has(name) && value !== null && value !== undefined);
  if (odd === undefined) return;
  const name = `${place}${odd[0].slice(0, 64)}`;
  throw new ApiError(400, 'unsupported_parameter', `This endpoint does not have "${name}"`, name);
}
