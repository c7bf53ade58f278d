import { readFileSync, statSync } from 'node:fs';
import { ConfigError, type ConfigSchema, FlagText } from './configSchema.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** What the launcher says to a process beside its configuration. */
export type LauncherFlags = {
  /** `--parent-pid N`: stop when that is no longer the parent. */
  readonly parentPid: number | undefined;
  /** `--parent-stdin`: stop when standard input ends. The launcher holds the other end, so even SIGKILL ends it. */
  readonly parentStdin: boolean;
};

export type LoadedConfig<T> = {
  readonly config: T;
  readonly file: string | undefined;
  readonly launcher: LauncherFlags;
};

const maxFileBytes = 1_048_576;
const logLevels: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

/**
 * The configuration of a process: the JSON file of `--config FILE`, and over it flags that name fields by their path
 * (`--listen.port 8080`, `--simulated` for true). No environment variable takes part. Throws ConfigError.
 * @param argv without node and script: `process.argv.slice(2)`
 */
export function loadConfig<T>(schema: ConfigSchema<T>, argv: readonly string[]): LoadedConfig<T> {
  let file: string | undefined;
  let parentPid: number | undefined;
  let parentStdin = false;
  const overrides: { readonly path: readonly string[]; readonly value: FlagText }[] = [];
  for (const [name, value] of flags(argv)) {
    if (name === 'config') file = value;
    else if (name === 'parent-stdin') parentStdin = true;
    else if (name === 'parent-pid') parentPid = pid(value);
    else overrides.push({ path: name.split('.'), value: new FlagText(value) });
  }
  if (file === '') throw new ConfigError('CONFIG_BAD_FLAG', 'Expected a file after "--config"', {});
  const values = file === undefined ? {} : readConfigFile(file);
  for (const { path, value } of overrides) override(values, path, value);
  return { config: schema.read(values, ''), file, launcher: { parentPid, parentStdin } };
}

/** The level in CLOISTER_LOG_LEVEL, else `info`: the one environment variable that Cloister reads. Throws ConfigError. */
export function logLevelFromEnvironment(): LogLevel {
  const value = process.env.CLOISTER_LOG_LEVEL;
  if (value === undefined || value === '') return 'info';
  const level = logLevels.find((known) => known === value);
  if (level === undefined)
    throw new ConfigError(
      'CONFIG_INVALID_FIELD',
      `Expected CLOISTER_LOG_LEVEL to be one of ${logLevels.join(', ')}, got "${value.slice(0, 80)}"`,
      {},
    );
  return level;
}

/**
 * The environment for processes of ours: only what can't change which code runs in them or whom they trust, so no
 * NODE_OPTIONS, no certificate files.
 */
export function childEnvironment(): NodeJS.ProcessEnv {
  const kept = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'TZ', 'CLOISTER_LOG_LEVEL'];
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => kept.includes(name)));
}

function* flags(argv: readonly string[]): Generator<readonly [string, string]> {
  for (let at = 0; at < argv.length; at++) {
    const [, name, inline] =
      /^--([A-Za-z][A-Za-z0-9-]*(?:\.[A-Za-z][A-Za-z0-9]*)*)(?:=(.*))?$/s.exec(argv[at] ?? '') ?? [];
    if (name === undefined)
      throw new ConfigError(
        'CONFIG_BAD_FLAG',
        `Expected a flag like --listen.port, got "${(argv[at] ?? '').slice(0, 80)}"`,
        {},
      );
    const next = argv[at + 1];
    if (inline !== undefined) yield [name, inline];
    else if (next === undefined || next.startsWith('--')) yield [name, ''];
    else {
      yield [name, next];
      at += 1;
    }
  }
}

function pid(value: string): number {
  if (/^[1-9][0-9]{0,9}$/.test(value)) return Number(value);
  throw new ConfigError(
    'CONFIG_BAD_FLAG',
    `Expected a process id after "--parent-pid", got "${value.slice(0, 80)}"`,
    {},
  );
}

function readConfigFile(file: string): Record<string, unknown> {
  let content: string;
  try {
    if (statSync(file).size > maxFileBytes) throw new RangeError(`it is larger than ${maxFileBytes} bytes`);
    content = readFileSync(file, 'utf8');
  } catch (cause) {
    const problem = cause instanceof Error ? cause.message : String(cause);
    throw new ConfigError(
      'CONFIG_FILE_UNREADABLE',
      `The configuration file "${file}" can't be read: ${problem}`,
      { file },
      'Check the path given with --config',
      cause,
    );
  }
  try {
    const value: unknown = JSON.parse(content);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
    throw new TypeError('it is not an object');
  } catch (cause) {
    const problem = cause instanceof Error ? cause.message : String(cause);
    throw new ConfigError(
      'CONFIG_FILE_MALFORMED',
      `The configuration file "${file}" is not JSON: ${problem}`,
      { file },
      undefined,
      cause,
    );
  }
}

function override(values: Record<string, unknown>, path: readonly string[], value: FlagText): void {
  const [first = '', ...rest] = path;
  if (rest.length === 0) {
    values[first] = value;
    return;
  }
  const inner = Object.hasOwn(values, first) ? values[first] : undefined;
  const target: Record<string, unknown> =
    typeof inner === 'object' && inner !== null && !Array.isArray(inner) && !(inner instanceof FlagText)
      ? (inner as Record<string, unknown>)
      : {};
  override(target, rest, value);
  values[first] = target;
}
