import { isAbsolute } from 'node:path';
import { callerAppHeader, isHexOf, serviceName } from '@cloister/core';
import { parseHostRule } from './gate/hostRule.ts';
import { roundHeader } from './quickjs/host/round.ts';
import {
  type ContainerService,
  type ContainerSource,
  type InvocationRequest,
  type ModelSource,
  modelEngineNames,
  type Workload,
} from './sandbox.ts';
import { SandboxError } from './sandboxError.ts';
import type { ServiceName } from './services.ts';

const maxCodeBytes = 16 * 1024 * 1024;
const maxEnvCharacters = 1024 * 1024;
const maxOutboundHosts = 256;
const maxContextTokens = 1_048_576;
const maxServices = 8;
const maxPathCharacters = 8192;
const maxHeaderCharacters = 32 * 1024;

const MiB = 1024 * 1024;
/** What each limit may be. */
const ranges = {
  memoryBytes: [32 * MiB, 64 * 1024 * MiB],
  wallMs: [1, 3_600_000],
  cpuMs: [1, 3_600_000],
  outputBytes: [0, 1024 * MiB],
  maxConcurrent: [1, 1024],
  fuel: [1, Number.MAX_SAFE_INTEGER],
} as const;
/** Limits that a workload need not have. */
const optionalLimits: readonly string[] = ['cpuMs', 'fuel'];

const serviceNames: ReadonlySet<string> = new Set([
  'state',
  'call',
  'chain',
  'account',
  'guest',
] satisfies ServiceName[]);

/** Throws INVALID_WORKLOAD for what no driver can run; gives the code as text, or '' where the kind's code is none. */
export function checkWorkload(workload: Workload, kind: Workload['kind']): string {
  if (workload.kind !== kind) throw invalid('kind', `${workload.kind}" for a driver of "${kind}`);
  if (!isHexOf(workload.tenant, 32)) throw invalid('tenant', String(workload.tenant).slice(0, 80));
  if (!isHexOf(workload.version, 32)) throw invalid('version', String(workload.version).slice(0, 80));
  if (workload.code.length > maxCodeBytes) throw invalid('code', `${workload.code.length} bytes`);
  for (const [name, [least, most]] of Object.entries(ranges)) {
    const value = workload.limits[name as keyof typeof ranges];
    if (value === undefined && optionalLimits.includes(name)) continue;
    if (value === undefined || !Number.isSafeInteger(value) || value < least || value > most)
      throw invalid(`limits.${name}`, String(value));
  }
  const characters = Object.entries(workload.env).reduce((sum, [name, value]) => sum + name.length + value.length, 0);
  if (characters > maxEnvCharacters) throw invalid('env', `${characters} characters`);
  if (workload.outboundHosts.length > maxOutboundHosts)
    throw invalid('outboundHosts', `${workload.outboundHosts.length} hosts`);
  workload.outboundHosts.forEach(parseHostRule);
  const unknown = workload.services?.find((name) => !serviceNames.has(name));
  if (unknown !== undefined) throw invalid('services', unknown);
  if (workload.kind !== 'function' && workload.services?.length) throw invalid('services', workload.services.join());
  if (workload.kind !== 'function' && workload.scheduled) throw invalid('scheduled', `true for kind "${workload.kind}`);
  if ((workload.model !== undefined) !== (workload.kind === 'model')) throw invalid('model', workload.kind);
  if (workload.model !== undefined) {
    checkModel(workload.model);
    if (workload.outboundHosts.length > 0) throw invalid('outboundHosts', 'named for a model, which reaches none');
  }
  if ((workload.container !== undefined) !== (workload.kind === 'container')) throw invalid('container', workload.kind);
  if (workload.container !== undefined) checkContainers(workload.container);
  const date = workload.compatibilityDate;
  if (date !== undefined && !/^\d{4}-\d{2}-\d{2}$/.test(date)) throw invalid('compatibilityDate', date);
  if (workload.kind === 'wasm') return checkMagic(workload);
  if (workload.kind === 'model' && (workload.deterministic || workload.limits.fuel !== undefined))
    throw invalid('limits.fuel', 'given for what is not counted');
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(workload.code);
  } catch {
    throw invalid('code', 'not UTF-8');
  }
}

/** What can be said of a module without reading it, which happens behind walls only. */
function checkMagic({ code, deterministic, limits }: Workload): string {
  const magic = [0, 0x61, 0x73, 0x6d];
  if (magic.some((byte, index) => code[index] !== byte)) throw invalid('code', 'what is no WebAssembly module');
  if (deterministic && limits.fuel === undefined) throw invalid('deterministic', 'true without limits.fuel');
  return '';
}

function checkModel({ engine, name, weightsFile, contextTokens, maxTokens }: ModelSource): void {
  if (!modelEngineNames.includes(engine)) throw invalid('model.engine', String(engine).slice(0, 80));
  if (!/^[\x21-\x7e]{1,128}$/.test(name)) throw invalid('model.name', name.slice(0, 128));
  if (!isAbsolute(weightsFile)) throw invalid('model.weightsFile', weightsFile.slice(0, 200));
  for (const [field, value] of Object.entries({ contextTokens, maxTokens }))
    if (!Number.isSafeInteger(value) || value < 1 || value > maxContextTokens)
      throw invalid(`model.${field}`, String(value));
}

function checkContainers({ services, port, guestSocket }: ContainerSource): void {
  if (services.length < 1 || services.length > maxServices)
    throw invalid('container.services', `${services.length} services`);
  if (!Number.isSafeInteger(port) || port < 1 || port > 65_535) throw invalid('container.port', String(port));
  if (guestSocket !== undefined && !isAbsolute(guestSocket)) throw invalid('container.guestSocket', guestSocket);
  for (const { name, image, entrypoint, command } of services) {
    if (!serviceName.test(name)) throw invalid('container.services', name.slice(0, 80));
    const words = commandOf({ image, ...(entrypoint && { entrypoint }), ...(command && { command }) });
    if (words.length === 0) throw invalid('container.services', `${name}", which has no command`);
  }
}

/** What a service runs: the image's words where it states none; an entrypoint of its own leaves the image's command out. */
export function commandOf({
  image: { config },
  entrypoint,
  command,
}: Pick<ContainerService, 'image' | 'entrypoint' | 'command'>): readonly string[] {
  const rest = command ?? (entrypoint === undefined ? config.command : []);
  return [...(entrypoint ?? config.entrypoint), ...rest];
}

function invalid(field: string, value: string): SandboxError {
  return new SandboxError({
    code: 'INVALID_WORKLOAD',
    message: `The workload's "${field}" cannot be "${value}"`,
    meta: { field, value },
  });
}

/** Names that the connection to the runtime uses itself, or that the tenant must not be able to be told. */
const droppedHeaders = new Set([
  ...['connection', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'expect'],
  ...['content-length', 'host'],
]);
const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it keeps out
const badFieldValue = /[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]/;
const defaultHost = 'app.cloister.invalid';
/** The event of a run by schedule, as JSON: no caller can set it, and no handler sees it. */
const scheduledHeader = 'cloister-scheduled';

/** The headers to send for a request, names and values in turn. Throws INVALID_REQUEST for what HTTP can't carry. */
export function requestHeaders(request: InvocationRequest): string[] {
  const { method, path, headers, body, input, upgrade, caller, scheduled, round } = request;
  if (!token.test(method) || /^(connect|trace)$/i.test(method)) throw invalidRequest('method', method);
  if (/^(get|head)$/i.test(method) && body.length > 0)
    throw invalidRequest('body', `${body.length} bytes in a ${method}`);
  if (input !== undefined && upgrade === undefined && (/^(get|head)$/i.test(method) || body.length > 0))
    throw invalidRequest('input', `streamed in a ${method}`);
  if (upgrade !== undefined && (input === undefined || method !== 'GET'))
    throw invalidRequest('upgrade', `${upgrade} of a ${method}`);
  if (path.length > maxPathCharacters || !/^\/[\x21-\x7e]*$/.test(path)) throw invalidRequest('path', path);
  let host = defaultHost;
  let characters = 0;
  const kept: string[] = [];
  for (const [name, value] of headers) {
    if (!token.test(name) || badFieldValue.test(value)) throw invalidRequest('headers', name);
    characters += name.length + value.length;
    const lower = name.toLowerCase();
    if (lower === 'host') host = value;
    if (!droppedHeaders.has(lower) && !lower.startsWith('cloister-')) kept.push(name, value);
  }
  if (characters > maxHeaderCharacters) throw invalidRequest('headers', `${characters} characters`);
  if (!/^[0-9A-Za-z.\-[\]:]{1,255}$/.test(host)) throw invalidRequest('host', host);
  if (caller !== undefined && !/^0x[0-9a-f]{64}$/.test(caller)) throw invalidRequest('caller', caller);
  if (round !== undefined && !(Number.isSafeInteger(round.timeMs) && round.timeMs >= 0 && isHexOf(round.seed, 32)))
    throw invalidRequest('round', `${round.timeMs} ${round.seed}`);
  // Whoever calls, the way to this process was sealed: the handler sees https.
  const told = [
    ...(caller === undefined ? [] : [callerAppHeader, caller]),
    ...(round === undefined ? [] : [roundHeader, `${round.timeMs} ${round.seed}`]),
    ...(scheduled === undefined ? [] : [scheduledHeader, JSON.stringify(scheduled)]),
  ];
  return ['host', host, 'cloister-proto', 'https', ...told, ...kept];
}

function invalidRequest(field: string, value: string): SandboxError {
  return new SandboxError({
    code: 'INVALID_REQUEST',
    message: `The request's "${field}" cannot be "${value.slice(0, 200)}"`,
    meta: { field },
  });
}
