import { CloisterError } from '@cloister/core';
import { destination, type Logger as PinoLogger, pino } from 'pino';
import type { LogLevel } from './config.ts';

export type LogFields = Readonly<Record<string, unknown>>;

/**
 * What every part logs to. Messages name their place (`gateway:dial`), values stand in the fields. Secrets, bytes and
 * fields with telling names are redacted; bodies of calls and addresses of clients don't belong in a log at all.
 */
export type Logger = {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** The same log with fields that stand in every line. */
  child(fields: LogFields): Logger;
};

export type LoggerOptions = {
  /** The process's name, in every line. */
  readonly name: string;
  /** @default 'info' */
  readonly level?: LogLevel;
  /** Where the lines go, one JSON object each. @default standard error, written at once */
  readonly write?: (line: string) => void;
};

export function createLogger(options: LoggerOptions): Logger {
  const stream = options.write === undefined ? destination({ fd: 2, sync: true }) : { write: options.write };
  const base = {
    level: options.level ?? 'info',
    base: { name: options.name, pid: process.pid },
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  return wrap(pino(base, stream));
}

/** A log that goes nowhere. */
export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => silentLogger };

function wrap(inner: PinoLogger): Logger {
  const line =
    (level: LogLevel) =>
    (message: string, fields?: LogFields): void => {
      if (!inner.isLevelEnabled(level)) return;
      if (fields === undefined) inner[level](message);
      else inner[level](printable(fields, 0) as object, message);
    };
  return {
    debug: line('debug'),
    info: line('info'),
    warn: line('warn'),
    error: line('error'),
    child: (fields) => wrap(inner.child(printable(fields, 0) as Record<string, unknown>)),
  };
}

const tellingName = /secret|private|password|passphrase|mnemonic|authorization|cookie/i;
const maxDepth = 5;
const maxMembers = 50;
const maxText = 2_000;

/** The value as it may stand in a log: bounded, without bytes and secrets. */
export function printable(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return value.length > maxText ? `${value.slice(0, maxText)}…` : value;
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'function' || typeof value === 'symbol') return `[${typeof value}]`;
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= maxDepth) return '[deeper]';
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (value instanceof Error) return printableError(value, depth);
  if ('toJSON' in value && typeof value.toJSON === 'function') return printable(value.toJSON(), depth + 1);
  if (Array.isArray(value)) return value.slice(0, maxMembers).map((item) => printable(item, depth + 1));
  const members = Object.entries(value).slice(0, maxMembers);
  return Object.fromEntries(
    members.map(([name, inner]) => [name, tellingName.test(name) ? '[redacted]' : printable(inner, depth + 1)]),
  );
}

function printableError(error: Error, depth: number): unknown {
  const known = error instanceof CloisterError;
  const code = (error as { readonly code?: unknown }).code;
  return {
    name: error.name,
    ...(typeof code === 'string' ? { code } : {}),
    message: printable(error.message),
    ...(known && error.hint !== undefined ? { hint: error.hint } : {}),
    ...(known ? { meta: printable(error.meta, depth + 1) } : { stack: printable(error.stack) }),
    ...(error.cause === undefined ? {} : { cause: printable(error.cause, depth + 1) }),
  };
}
