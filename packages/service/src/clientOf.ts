import type { IncomingMessage } from 'node:http';
import { isIP, isIPv4, type Socket } from 'node:net';

/**
 * What limits count by: the remote address, IPv6 by its /64, since whoever has one address there has all of it.
 * @param trustedProxies how many proxies of ours stand in front, each adding one entry to X-Forwarded-For; 0: none is
 * believed
 */
export function clientOf(request: IncomingMessage, trustedProxies: number): string {
  if (trustedProxies === 0) return directClient(request.socket);
  const direct = request.socket.remoteAddress ?? 'unknown';
  const header = request.headers['x-forwarded-for'];
  const entries = (Array.isArray(header) ? header.join(',') : (header ?? '')).split(',').map((entry) => entry.trim());
  const claimed = entries.at(-trustedProxies) ?? '';
  return clientKey(isIP(claimed) === 0 ? direct : claimed);
}

const directClients = new WeakMap<Socket, string>();

/** The client at the other end of a connection; read once, since a connection carries many requests. */
function directClient(socket: Socket): string {
  const known = directClients.get(socket);
  if (known !== undefined) return known;
  const client = clientKey(socket.remoteAddress ?? 'unknown');
  directClients.set(socket, client);
  return client;
}

/** 203.0.113.7 → itself; 2001:db8:1:2:3:4:5:6 → 2001:db8:1:2::/64; ::ffff:203.0.113.7 → the IPv4 address. */
export function clientKey(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? address;
  if (isIPv4(mapped) || !mapped.includes(':')) return mapped;
  const [left = '', right] = (mapped.split('%')[0] ?? '').toLowerCase().split('::');
  const head = left === '' ? [] : left.split(':');
  const tail = right === undefined || right === '' ? [] : right.split(':');
  const zeros = right === undefined ? [] : new Array<string>(Math.max(0, 8 - head.length - tail.length)).fill('0');
  const groups = [...head, ...zeros, ...tail].slice(0, 4).map((group) => group.replace(/^0+(?=.)/, ''));
  return `${groups.join(':')}::/64`;
}
