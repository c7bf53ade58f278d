import { networkInterfaces } from 'node:os';
import ipaddr from 'ipaddr.js';

/** How long an answer of the system holds: addresses come and go, and asking takes longer than a request should. */
const freshMs = 10_000;
let known: { readonly addresses: ReadonlySet<string>; readonly untilMs: number } | undefined;

/**
 * Whether an address is one of this machine's own. A machine in the public Internet has a public address, and what listens
 * behind its firewall is reached by that address from the machine itself.
 */
export function isOwnAddress(text: string): boolean {
  const now = performance.now();
  if (known === undefined || known.untilMs < now) known = { addresses: ownAddresses(), untilMs: now + freshMs };
  return ipaddr.isValid(text) && known.addresses.has(ipaddr.parse(text).toNormalizedString());
}

function ownAddresses(): ReadonlySet<string> {
  const interfaces = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  // A link-local one comes with its zone, and is refused anyway.
  const plain = interfaces.map(({ address }) => address).filter((address) => ipaddr.isValid(address));
  return new Set(plain.map((address) => ipaddr.parse(address).toNormalizedString()));
}
