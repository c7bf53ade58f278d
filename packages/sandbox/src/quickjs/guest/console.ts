import { host } from './bridge.ts';

const levels = ['debug', 'log', 'info', 'warn', 'error'] as const;
const maxDepth = 4;
const maxEntries = 64;

/** Writes lines into the log of the app's owner. */
export const console = Object.fromEntries(
  levels.map((level) => [level, (...values: readonly unknown[]) => host('log', level, values.map(shown).join(' '))]),
);

/** A value as a line of a log shows it: text as it is, errors with their stack, objects down to a depth. */
export function shown(value: unknown): string {
  return typeof value === 'string' ? value : inner(value, 0, []);
}

function inner(value: unknown, depth: number, around: readonly unknown[]): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'function') return `[Function ${value.name}]`;
  if (typeof value !== 'object' || value === null) return String(value);
  if (value instanceof Error) return errorText(value);
  if (around.includes(value)) return '[Circular]';
  if (depth >= maxDepth) return Array.isArray(value) ? '[Array]' : '[Object]';
  const next = (each: unknown): string => inner(each, depth + 1, [...around, value]);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'Invalid Date' : value.toISOString();
  if (value instanceof RegExp) return String(value);
  if (value instanceof Map) return `Map {${list([...value].map(([key, each]) => `${next(key)} => ${next(each)}`))}}`;
  if (value instanceof Set) return `Set {${list([...value].map(next))}}`;
  if (value instanceof ArrayBuffer) return `ArrayBuffer(${value.byteLength})`;
  if (ArrayBuffer.isView(value) && !(value instanceof DataView))
    return `${value.constructor.name} [${list(Array.from(value as Uint8Array, String))}]`;
  if (Array.isArray(value)) return `[${list(value.map(next))}]`;
  return `{${list(Object.entries(value).map(([name, each]) => `${name}: ${next(each)}`))}}`;
}

function list(parts: readonly string[]): string {
  const more =
    parts.length > maxEntries ? [...parts.slice(0, maxEntries), `… ${parts.length - maxEntries} more`] : parts;
  return more.length === 0 ? '' : ` ${more.join(', ')} `;
}

/** What was thrown, in words, with the places in the app's code: it may be anything. */
export function errorText(error: unknown): string {
  if (!(error instanceof Error)) return shown(error);
  const stack = typeof error.stack === 'string' ? error.stack.split('\n') : [];
  const places = stack.filter((line) => line.trim() !== '' && !/cloister:kernel|\(native\)$/.test(line));
  return [`${error.name}: ${error.message}`, ...places].join('\n');
}
