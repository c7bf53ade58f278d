import { fromUtf8, utf8 } from '@cloister/crypto';
import { maxKeyBytes, maxPartitionKeys, maxValueBytes } from '../limits.ts';
import { StateError } from '../stateError.ts';

/** What an entry changes: a value for a key, or undefined where the key goes. Keys in ascending order of their UTF-16 units. */
export type Changes = readonly (readonly [key: string, value: Uint8Array | undefined])[];

const put = 1;
const remove = 0;

/**
 * count (4 bytes), then for each change: 1 or 0 (put or delete), length of the key (2), key, and for a put length of the value (4), value; all of it
 * behind its own length (4) and followed by zeros, so that entries of similar size look alike. Numbers big-endian.
 */
export function encodeChanges(changes: Changes): Uint8Array {
  const parts: Uint8Array[] = [uint(changes.length, 4)];
  for (const [key, value] of changes) {
    const text = utf8(key);
    parts.push(uint(value === undefined ? remove : put, 1), uint(text.length, 2), text);
    if (value !== undefined) parts.push(uint(value.length, 4), value);
  }
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const padded = new Uint8Array(paddedLength(length + 4));
  padded.set(uint(length, 4));
  // One by one: a snapshot has more parts than a call may have arguments.
  let at = 4;
  for (const part of parts) {
    padded.set(part, at);
    at += part.length;
  }
  return padded;
}

/** Reads an entry's changes. Throws STATE_LOG_INVALID for any other form than the one of {@link encodeChanges}. */
export function decodeChanges(bytes: Uint8Array): Changes {
  const length = bytes.length < 8 ? -1 : numberAt(bytes, 0, 4);
  const end = 4 + length;
  if (length < 4 || bytes.length !== paddedLength(end)) throw invalid('its length is another');
  if (bytes.subarray(end).some((byte) => byte !== 0)) throw invalid('its padding is not zero');
  let at = 4;
  const take = (count: number): number => {
    const from = at;
    at += count;
    if (at > end) throw invalid('it ends early');
    return from;
  };
  const count = numberAt(bytes, take(4), 4);
  if (count > maxPartitionKeys) throw invalid(`it has ${count} changes`);
  const changes: [string, Uint8Array | undefined][] = [];
  for (let index = 0; index < count; index++) {
    const kind = numberAt(bytes, take(1), 1);
    if (kind !== put && kind !== remove) throw invalid(`it has a change of kind ${kind}`);
    const keyLength = numberAt(bytes, take(2), 2);
    if (keyLength < 1 || keyLength > maxKeyBytes) throw invalid(`it has a key of ${keyLength} bytes`);
    const key = textAt(bytes, take(keyLength), keyLength);
    const last = changes.at(-1);
    if (last !== undefined && last[0] >= key) throw invalid('its keys are not in order');
    if (kind === remove) {
      changes.push([key, undefined]);
      continue;
    }
    const valueLength = numberAt(bytes, take(4), 4);
    if (valueLength > maxValueBytes) throw invalid(`it has a value of ${valueLength} bytes`);
    const from = take(valueLength);
    changes.push([key, bytes.slice(from, from + valueLength)]);
  }
  if (at !== end) throw invalid('something follows its last change');
  return changes;
}

/** Next multiple of 256 up to 4 kB; above, at most an eighth more. */
export function paddedLength(length: number): number {
  let step = 256;
  while (step * 16 < length) step *= 2;
  return Math.ceil(length / step) * step;
}

function uint(value: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let at = length - 1, rest = value; at >= 0; at--, rest = Math.floor(rest / 256)) bytes[at] = rest % 256;
  return bytes;
}

function numberAt(bytes: Uint8Array, from: number, length: number): number {
  let value = 0;
  for (let at = from; at < from + length; at++) value = value * 256 + (bytes[at] as number);
  return value;
}

function textAt(bytes: Uint8Array, from: number, length: number): string {
  try {
    return fromUtf8(bytes.subarray(from, from + length));
  } catch {
    throw invalid('a key is no text');
  }
}

function invalid(why: string): StateError {
  return new StateError('STATE_LOG_INVALID', `An entry's changes can not be read: ${why}`);
}
