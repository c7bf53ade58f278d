import { createHash } from 'node:crypto';

/** What stands for a value, or for there being none: two different values have different ones. */
export function valueTag(value: Uint8Array | undefined): string {
  return value === undefined ? 'none' : createHash('sha256').update(value).digest('base64url');
}

/** The same for a list of keys. */
export function listTag(keys: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(keys)).digest('base64url');
}
