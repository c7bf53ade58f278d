import { CloisterError } from '@cloister/core';

/**
 * Reads one value of a configuration: from JSON, or from the text of a command-line flag. Anything that doesn't fit
 * throws ConfigError naming the field. Objects are strict: an unknown field is an error, never ignored.
 */
export type ConfigSchema<T> = { readonly read: (value: unknown, field: string) => T };

export type ConfigOf<S> = S extends ConfigSchema<infer T> ? T : never;

/** What stands behind a flag, still as text: `--listen.port 80`. */
export class FlagText {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

type Optional<T> = { readonly default?: T };

/** A string of at most `max` characters (default 1024) that matches `pattern` where given. */
export function text(
  options: Optional<string> & { readonly max?: number; readonly pattern?: RegExp; readonly what?: string } = {},
): ConfigSchema<string> {
  const { max = 1024, pattern, what = pattern === undefined ? 'a string' : `a string like ${pattern}` } = options;
  return leaf(options, what, (value) =>
    typeof value === 'string' && value.length <= max && (pattern === undefined || pattern.test(value))
      ? value
      : undefined,
  );
}

/** A whole number from `min` to `max`, both included. */
export function integer(
  options: Optional<number> & { readonly min: number; readonly max: number },
): ConfigSchema<number> {
  const { min, max } = options;
  return leaf(
    options,
    `a whole number from ${min} to ${max}`,
    (value) =>
      Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max
        ? (value as number)
        : undefined,
    (flag) => (/^-?[0-9]{1,16}$/.test(flag) ? Number(flag) : flag),
  );
}

export function boolean(options: Optional<boolean> = {}): ConfigSchema<boolean> {
  return leaf(
    options,
    'true or false',
    (value) => (typeof value === 'boolean' ? value : undefined),
    (flag) => (flag === 'true' || flag === '' ? true : flag === 'false' ? false : flag),
  );
}

export function oneOf<const T extends string>(values: readonly T[], options: Optional<T> = {}): ConfigSchema<T> {
  return leaf(options, `one of ${values.join(', ')}`, (value) => values.find((known) => known === value));
}

/** An absolute URL of one of the protocols, without credentials, query or fragment; read without a slash at its end. */
export function url(options: Optional<string> & { readonly protocols?: readonly string[] } = {}): ConfigSchema<string> {
  const { protocols = ['http:', 'https:'] } = options;
  return leaf(options, `an absolute URL (${protocols.join(' ')}) without credentials, query or fragment`, (value) => {
    if (typeof value !== 'string' || value.length > 512 || !URL.canParse(value)) return undefined;
    const parsed = new URL(value);
    const plain = parsed.username === '' && parsed.password === '' && parsed.search === '' && parsed.hash === '';
    return plain && protocols.includes(parsed.protocol) ? value.replace(/\/+$/, '') : undefined;
  });
}

/** A list of at most `max` items; as a flag: JSON, or texts separated by commas. */
export function list<T>(
  item: ConfigSchema<T>,
  options: Optional<readonly T[]> & { readonly max: number },
): ConfigSchema<readonly T[]> {
  return {
    read: (value, field) => {
      const items = value instanceof FlagText ? listOfFlag(value.text, field) : value;
      if (items === undefined) return missing(options, field);
      if (!Array.isArray(items) || items.length > options.max)
        throw invalid(field, `a list of at most ${options.max} items`, items);
      return items.map((inner, index) => item.read(inner, `${field}[${index}]`));
    },
  };
}

/** An object with exactly these fields; absent altogether, it is read as empty, so that defaults inside apply. */
export function object<const F extends Readonly<Record<string, ConfigSchema<unknown>>>>(
  fields: F,
): ConfigSchema<{ readonly [K in keyof F]: ConfigOf<F[K]> }> {
  return {
    read: (value, field) => {
      const given = value === undefined ? {} : value;
      if (typeof given !== 'object' || given === null || Array.isArray(given) || given instanceof FlagText)
        throw invalid(field, 'an object', given);
      const prefix = field === '' ? '' : `${field}.`;
      for (const name of Object.keys(given))
        if (!Object.hasOwn(fields, name))
          throw unknownField(
            `${prefix}${name}`,
            Object.keys(fields).map((known) => `${prefix}${known}`),
          );
      const entries = Object.entries(fields).map(([name, schema]) => [
        name,
        schema.read((given as Record<string, unknown>)[name], `${prefix}${name}`),
      ]);
      return Object.fromEntries(entries) as { [K in keyof F]: ConfigOf<F[K]> };
    },
  };
}

/** The field may be absent; then it reads as undefined. */
export function optional<T>(schema: ConfigSchema<T>): ConfigSchema<T | undefined> {
  return { read: (value, field) => (value === undefined ? undefined : schema.read(value, field)) };
}

function leaf<T>(
  options: Optional<T>,
  what: string,
  accept: (value: unknown) => T | undefined,
  ofFlag: (flag: string) => unknown = (flag) => flag,
): ConfigSchema<T> {
  return {
    read: (value, field) => {
      if (value === undefined) return missing(options, field);
      const given = value instanceof FlagText ? ofFlag(value.text) : value;
      const accepted = accept(given);
      if (accepted === undefined) throw invalid(field, what, given);
      return accepted;
    },
  };
}

function listOfFlag(flag: string, field: string): unknown {
  if (!flag.startsWith('[')) return flag === '' ? [] : flag.split(',').map((part) => new FlagText(part));
  try {
    return JSON.parse(flag);
  } catch {
    throw invalid(field, 'a JSON list, or texts separated by commas', flag);
  }
}

function missing<T>(options: Optional<T>, field: string): T {
  if (options.default !== undefined) return options.default;
  throw new ConfigError(
    'CONFIG_MISSING_FIELD',
    `The configuration lacks "${field}"`,
    { field },
    `Set "${field}" in the file, or give --${field}`,
  );
}

function invalid(field: string, what: string, value: unknown): ConfigError {
  const shown = (typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value))).slice(0, 80);
  return new ConfigError(
    'CONFIG_INVALID_FIELD',
    `Expected "${field === '' ? 'the configuration' : field}" to be ${what}, got "${shown}"`,
    { field },
  );
}

function unknownField(field: string, known: readonly string[]): ConfigError {
  return new ConfigError(
    'CONFIG_UNKNOWN_FIELD',
    `The configuration has an unknown field "${field.slice(0, 128)}"`,
    { field },
    `Known here: ${known.join(', ')}`,
  );
}

export type ConfigErrorCode =
  | 'CONFIG_UNKNOWN_FIELD'
  | 'CONFIG_MISSING_FIELD'
  | 'CONFIG_INVALID_FIELD'
  | 'CONFIG_FILE_UNREADABLE'
  | 'CONFIG_FILE_MALFORMED'
  | 'CONFIG_BAD_FLAG';

/** The process was started with a configuration that it can't use. */
export class ConfigError extends CloisterError<ConfigErrorCode> {
  override readonly name = 'ConfigError';
  constructor(
    code: ConfigErrorCode,
    message: string,
    meta: Record<string, unknown>,
    hint = 'Correct the configuration and start again',
    cause?: unknown,
  ) {
    super({ code, message, meta, hint, cause });
  }
}
