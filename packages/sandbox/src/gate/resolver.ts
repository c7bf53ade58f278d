import { Resolver as DnsResolver } from 'node:dns/promises';

/** Gives every address of a name. Throws where there is none. */
export type Resolver = (hostname: string, options: { signal: AbortSignal }) => Promise<readonly string[]>;

/** Asks the DNS servers of this machine. Never reads its hosts file: names of the host's own network are no business of a tenant. */
export const dnsResolver: Resolver = resolverOf();

/** As {@link dnsResolver}, with other servers, each "address:port". */
export function resolverOf(servers?: readonly string[]): Resolver {
  return (hostname, options) => addressesOf(hostname, servers, options);
}

async function addressesOf(
  hostname: string,
  servers: readonly string[] | undefined,
  { signal }: { signal: AbortSignal },
): Promise<readonly string[]> {
  signal.throwIfAborted();
  const dns = new DnsResolver({ timeout: 2000, tries: 2 });
  if (servers !== undefined) dns.setServers(servers);
  const cancel = (): void => dns.cancel();
  signal.addEventListener('abort', cancel, { once: true });
  try {
    const answers = await Promise.allSettled([dns.resolve4(hostname), dns.resolve6(hostname)]);
    const addresses = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
    if (addresses.length > 0) return addresses;
    throw answers.find((answer) => answer.status === 'rejected')?.reason ?? new Error(`"${hostname}" has no address`);
  } finally {
    signal.removeEventListener('abort', cancel);
  }
}
