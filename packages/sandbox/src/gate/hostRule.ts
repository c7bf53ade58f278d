import { SandboxError } from '../sandboxError.ts';

/** One place that a workload may reach. */
export type HostRule = { readonly protocol: 'https:' | 'http:'; readonly host: string; readonly port: number };

const pattern = /^(?<scheme>http:\/\/)?(?<host>\[[0-9a-fA-F:.]+\]|[^\s/:@?#[\]]+)(?::(?<port>[0-9]{1,5}))?$/;

/** Reads "host", "host:port" (both https) or "http://host[:port]". Throws INVALID_WORKLOAD. */
export function parseHostRule(text: string): HostRule {
  const groups = pattern.exec(text)?.groups;
  const host = groups?.host;
  if (host === undefined) throw invalidRule(text);
  const protocol = groups?.scheme === undefined ? 'https:' : 'http:';
  let url: URL;
  try {
    // The same normalisation as of the URLs that are checked against the rule.
    url = new URL(`${protocol}//${host}:${groups?.port ?? defaultPort(protocol)}/`);
  } catch {
    throw invalidRule(text);
  }
  if (url.hostname.includes('*')) throw invalidRule(text);
  return ruleOf(url, protocol);
}

/** The place that a request would go to, or undefined for a URL that isn't plain http or https. */
export function placeOf(url: URL): HostRule | undefined {
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return undefined;
  if (url.username !== '' || url.password !== '') return undefined;
  return ruleOf(url, url.protocol);
}

export function isAllowed(place: HostRule, rules: readonly HostRule[]): boolean {
  return rules.some((rule) => rule.protocol === place.protocol && rule.host === place.host && rule.port === place.port);
}

function ruleOf(url: URL, protocol: HostRule['protocol']): HostRule {
  return {
    protocol,
    // A trailing dot names the same host.
    host: url.hostname.replace(/\.$/, ''),
    port: url.port === '' ? defaultPort(protocol) : Number(url.port),
  };
}

function defaultPort(protocol: HostRule['protocol']): number {
  return protocol === 'https:' ? 443 : 80;
}

function invalidRule(text: string): SandboxError {
  return new SandboxError({
    code: 'INVALID_WORKLOAD',
    message: `The outbound host "${text.slice(0, 300)}" is not a host`,
    meta: { field: 'outboundHosts' },
    hint: 'Write "host", "host:port" or "http://host[:port]", without a path or wildcards',
  });
}
