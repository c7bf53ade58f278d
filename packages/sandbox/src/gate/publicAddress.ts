import ipaddr from 'ipaddr.js';

/**
 * Whether an address lies in the public Internet. Everything set aside in the IANA special-purpose registries (RFC 6890)
 * isn't: private, loopback, link-local and so the metadata services of clouds, shared (CGNAT), multicast, documentation,
 * and every form of IPv6 that carries an IPv4 address, since who unwraps it may reach what we refuse here.
 */
export function isPublicAddress(text: string): boolean {
  // A zone ("%eth0") only makes sense inside a link.
  if (text.includes('%') || !ipaddr.isValid(text)) return false;
  const address = ipaddr.parse(text);
  if (address.range() !== 'unicast') return false;
  if (address instanceof ipaddr.IPv4) return ipaddr.IPv4.isValidFourPartDecimal(text);
  return globalUnicast.every((range) => address.match(range)) && !embedded.some((range) => address.match(range));
}

/** The only part of IPv6 from which global addresses are given out (RFC 4291 §2.4). */
const globalUnicast = [ipaddr.IPv6.parseCIDR('2000::/3')];

/** Teredo and its neighbours (2001::/23), documentation, 6to4. */
const embedded = ['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20'].map((range) => ipaddr.IPv6.parseCIDR(range));
