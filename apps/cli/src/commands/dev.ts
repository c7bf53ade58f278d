import { watch } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { bundleApp } from '@cloister/build';
import {
  CloisterError,
  describeError,
  deterministicFunction,
  type Manifest,
  type ManifestFields,
  manifestId,
  manifestOfKind,
  outboundPlaces,
} from '@cloister/core';
import { sha256, toHex } from '@cloister/crypto';
import {
  FunctionDriver,
  type LogLine,
  QuickJsDriver,
  type SandboxDriver,
  type Tenant,
  WasmDriver,
} from '@cloister/sandbox';
import type { CloisterClient } from '@cloister/sdk';
import type { Command } from 'commander';
import { DevServer } from '../dev/devServer.ts';
import { localServices, namedServices } from '../dev/localServices.ts';
import { LocalState } from '../dev/localState.ts';
import { namedValues, OptionValueError, wholeNumber } from '../optionValues.ts';
import { note } from '../output.ts';
import { readSecretValues, type SecretOptions } from '../secretValues.ts';
import { openClient, SettingsError } from '../settings.ts';

type Options = SecretOptions & {
  port?: string;
  env?: string[];
  outbound?: string[];
  state?: string;
  stateDir?: string;
  memoryMb?: string;
  wallMs?: string;
  inputMb?: string;
  deterministic?: boolean;
  network?: string;
  json?: boolean;
};

const MiB = 1024 * 1024;
const defaultInputBytes = 8 * MiB;
/** Editors write a file in several steps. */
const settleMs = 30;
/** How often what the app printed is shown. */
const logsEveryMs = 100;

export function devCommand(program: Command): void {
  program
    .command('dev')
    .description(
      'run a function or module on this machine in the very sandbox that workers use, with state, secrets, streams and WebSockets, and again when its files change',
    )
    .argument('<file>', 'the file with the handler')
    .option('--port <n>', 'port on loopback (default: a free one)', '0')
    .option('--env <NAME=value...>', 'constants that the code sees in env')
    .option('--secret <NAME=value...>', 'secrets that it sees in env; shown in the list of processes')
    .option('--secrets-file <file>', 'JSON object with such values')
    .option(
      '--outbound <place...>',
      'hosts that the code may reach; app:ID for apps that it may call, chain:read for the chain, of the network in use',
    )
    .option('--state <partitions>', 'partitions of the state that it keeps, on this machine alone (default: none)')
    .option('--state-dir <folder>', 'folder that keeps the state (default: in memory, until the command ends)')
    .option('--memory-mb <n>', 'memory limit')
    .option('--wall-ms <n>', 'time limit of one call')
    .option('--input-mb <n>', 'how much a streamed body may have (default: 8)')
    .option('--deterministic', 'a function as deploy --deterministic runs it: no clock, nothing random, no hosts')
    .action(async (file: string, _: unknown, command: Command) => {
      await runDev(file, command.optsWithGlobals<Options>());
    });
}

async function runDev(file: string, options: Options): Promise<void> {
  if (!/^[0-9]{1,5}$/.test(options.port ?? '0')) throw new OptionValueError('--port', options.port ?? '', 'a port');
  const secrets = (await readSecretValues(options)) ?? {};
  const fields = fieldsOf(options, Object.keys(secrets));
  const state = new LocalState({ partitions: fields.state?.partitions ?? 0, folder: options.stateDir });
  const client = await clientFor(fields, options);
  // From the first moment and for good: Ctrl-C reaches us beside what forwards it, and no second one cuts the clean-up short.
  const asked = new Promise<void>((resolve) => {
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => resolve());
  });
  const stopping = new AbortController();
  const { signal } = stopping;
  const runDir = path.join(os.tmpdir(), `cloister-dev-${process.pid}`);
  const { kind } = await bundleApp(file);
  // Two wait: one for what is loaded now, one for what is saved next.
  const driver = new { function: options.deterministic ? QuickJsDriver : FunctionDriver, wasm: WasmDriver }[kind]({
    runDir,
    pooled: 2,
  });
  await driver.start({ signal });
  let current = await load(driver, file, { fields, secrets }, signal);
  let isWhole = current !== undefined;
  const shown = new ShownLogs();
  const server = new DevServer({
    port: Number(options.port ?? 0),
    maxInputBytes: fields.limits.inputBytes ?? defaultInputBytes,
    // A deterministic function runs on its whole request.
    streams: kind === 'function' && !options.deterministic,
    invoke: (request) => {
      if (current === undefined) throw new DevError();
      const { tenant, manifest } = current;
      return tenant.invoke(request, { signal, services: localServices({ manifest, state, client }) });
    },
    answered: (line) => {
      shown.show(current?.tenant);
      note(line);
    },
  });
  let url: string;
  try {
    url = await server.start();
  } catch {
    await driver.stop();
    throw new OptionValueError('--port', options.port ?? '', 'a free port of this machine');
  }
  if (options.json) process.stdout.write(`${JSON.stringify({ ready: true, url })}\n`);
  else note(`Serving ${file} at ${url}; Ctrl-C ends it`);
  const logs = setInterval(() => shown.show(current?.tenant), logsEveryMs);
  let timer: ReturnType<typeof setTimeout> | undefined;
  let loading: Promise<void> = Promise.resolve();
  const reload = async (savedAtMs: number): Promise<void> => {
    const next = await load(driver, file, { fields, secrets }, signal);
    isWhole = next !== undefined;
    if (next === undefined || signal.aborted) return;
    const former = current;
    current = next;
    note(`Reloaded ${Math.round(performance.now() - savedAtMs)} ms after the file was saved`);
    await former?.tenant.close();
  };
  const watcher = watch(path.dirname(path.resolve(file)), { recursive: true }, (_event, name) => {
    // Only what the app is made of; where it could not be made, anything may be what was missing.
    if (name !== null && isWhole && !current?.inputs.has(name.split(path.sep).join('/'))) return;
    const savedAtMs = performance.now();
    clearTimeout(timer);
    timer = setTimeout(() => {
      loading = loading.then(() => reload(savedAtMs)).catch((error: unknown) => note(describeError(error)));
    }, settleMs);
  });
  await asked;
  clearTimeout(timer);
  clearInterval(logs);
  watcher.close();
  server.stop();
  stopping.abort();
  await loading;
  await driver.stop();
}

type DevFields = Pick<ManifestFields, 'env' | 'outbound' | 'secrets' | 'state'> & {
  limits: Partial<Manifest['limits']>;
};

function fieldsOf(options: Options, secrets: readonly string[]): DevFields & Pick<Manifest, 'outbound' | 'state'> {
  const { state, memoryMb, wallMs, inputMb } = options;
  return {
    env: namedValues('--env', options.env ?? []),
    outbound: options.outbound ?? [],
    secrets,
    ...(options.deterministic && deterministicFunction),
    state: state === undefined ? null : { partitions: wholeNumber('--state', state) },
    limits: {
      ...(memoryMb === undefined ? {} : { memoryBytes: wholeNumber('--memory-mb', memoryMb) * MiB }),
      ...(wallMs === undefined ? {} : { wallMs: wholeNumber('--wall-ms', wallMs) }),
      ...(inputMb === undefined ? {} : { inputBytes: wholeNumber('--input-mb', inputMb) * MiB }),
    },
  };
}

/** A client of the network in use, where the app may ask for anything of it; undefined where none is in use. */
async function clientFor(
  { outbound }: Pick<Manifest, 'outbound'>,
  options: Options,
): Promise<CloisterClient | undefined> {
  const { apps, readsChain } = outboundPlaces(outbound);
  if (apps.length === 0 && !readsChain) return undefined;
  try {
    return await openClient(options);
  } catch (error) {
    if (options.network !== undefined || !(error instanceof SettingsError && error.code === 'NO_NETWORK')) throw error;
    note('No network is in use: ctx.call and ctx.chain answer DEV_NO_NETWORK');
    return undefined;
  }
}

/** `inputs`: the files that it is made of, relative to the entry's folder. */
type Loaded = { readonly tenant: Tenant; readonly manifest: Manifest; readonly inputs: ReadonlySet<string> };

/** The app as it is on disk now; undefined, with the reason printed, where it does not bundle. */
async function load(
  driver: SandboxDriver,
  file: string,
  { fields, secrets }: { readonly fields: DevFields; readonly secrets: Readonly<Record<string, string>> },
  signal: AbortSignal,
): Promise<Loaded | undefined> {
  try {
    const { kind, code, name, inputs } = await bundleApp(file);
    const manifest = manifestOfKind(kind, {
      name,
      code: { sha256: toHex(sha256(code)), bytes: code.length },
      ...fields,
    });
    const { limits, runtime, env, outbound, determinism } = manifest;
    const id = manifestId(manifest);
    const services = namedServices(manifest);
    const tenant = await driver.open(
      {
        tenant: id,
        version: id,
        kind,
        code,
        env: { ...env, ...secrets },
        outboundHosts: outboundPlaces(outbound).hosts,
        limits,
        ...(services.length > 0 && { services }),
        compatibilityDate: runtime.compatibilityDate,
        deterministic: determinism === 'deterministic',
      },
      { signal },
    );
    return { tenant, manifest, inputs: new Set(inputs) };
  } catch (error) {
    note(describeError(error));
    return undefined;
  }
}

/** Shows each line that an app prints once. */
class ShownLogs {
  #tenant: Tenant | undefined;
  #last: LogLine | undefined;

  show(tenant: Tenant | undefined): void {
    if (tenant === undefined) return;
    if (tenant !== this.#tenant) this.#last = undefined;
    this.#tenant = tenant;
    const lines = tenant.logs();
    // Where the last shown one has made room for others, all that is there is new.
    const from = this.#last === undefined ? 0 : lines.lastIndexOf(this.#last) + 1;
    for (const line of lines.slice(from)) note(`  ${line.level}: ${line.message}`);
    this.#last = lines.at(-1) ?? this.#last;
  }
}

class DevError extends CloisterError<'DEV_NOT_LOADED'> {
  override readonly name = 'DevError';
  constructor() {
    super({ code: 'DEV_NOT_LOADED', message: 'The file does not bundle; see the terminal' });
  }
}
