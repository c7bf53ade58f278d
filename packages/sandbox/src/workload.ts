import { callerAppHeader, isHexOf } from '@cloister/core';
import { parseHostRule } from './gate/hostRule.ts';
import type { InvocationRequest, Workload } from './sandbox.ts';
import { SandboxError } from './sandboxError.ts';

const maxCodeBytes = 16 * 1024 * 1024;
const maxEnvCharacters = 1024 * 1024;
const maxOutboundHosts = 256;
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
} as const;

/** Throws INVALID_WORKLOAD for what no driver can run; gives the code as text. */
export function checkWorkload(workload: Workload): string {
  if (!isHexOf(workload.tenant, 32)) throw invalid('tenant', String(workload.tenant).slice(0, 80));
  if (!isHexOf(workload.version, 32)) throw invalid('version', String(workload.version).slice(0, 80));
  if (workload.code.length > maxCodeBytes) throw invalid('code', `${workload.code.length} bytes`);
  for (const [name, [least, most]] of Object.entries(ranges)) {
    const value = workload.limits[name as keyof typeof ranges];
    if (value === undefined && name === 'cpuMs') continue;
    if (value === undefined || !Number.isSafeInteger(value) || value < least || value > most)
      throw invalid(`limits.${name}`, String(value));
  }
  const characters = Object.entries(workload.env).reduce((sum, [name, value]) => sum + name.length + value.length, 0);
  if (characters > maxEnvCharacters) throw invalid('env', `${characters} characters`);
  if (workload.outboundHosts.length > maxOutboundHosts)
    throw invalid('outboundHosts', `${workload.outboundHosts.length} hosts`);
  workload.outboundHosts.forEach(parseHostRule);
  const date = workload.compatibilityDate;
  if (date !== undefined && !/^\d{4}-\d{2}-\d{2}$/.test(date)) throw invalid('compatibilityDate', date);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(workload.code);
  } catch {
    throw invalid('code', 'not UTF-8');
  }
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

/** The headers to send for a request, names and values in turn. Throws INVALID_REQUEST for what HTTP can't carry. */
export function requestHeaders({ method, path, headers, body, caller }: InvocationRequest): string[] {
  if (!token.test(method) || /^(connect|trace)$/i.test(method)) throw invalidRequest('method', method);
  if (/^(get|head)$/i.test(method) && body.length > 0)
    throw invalidRequest('body', `${body.length} bytes in a ${method}`);
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
  // Whoever calls, the way to this process was sealed: the handler sees https.
  return ['host', host, 'cloister-proto', 'https', ...(caller === undefined ? [] : [callerAppHeader, caller]), ...kept];
}

function invalidRequest(field: string, value: string): SandboxError {
  return new SandboxError({
    code: 'INVALID_REQUEST',
    message: `The request's "${field}" cannot be "${value.slice(0, 200)}"`,
    meta: { field },
  });
}
