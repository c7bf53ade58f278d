import type { Bytes32 } from './hex.ts';

/** Where an app may send what it knows, by the `outbound` of its manifest. */
export type OutboundPlaces = {
  /** Of the Internet: "host", "host:port", "http://host[:port]". */
  readonly hosts: readonly string[];
  /** Apps that it may call. */
  readonly apps: readonly Bytes32[];
  /** Whether it may read the chain: the network's RPCs see what it reads. */
  readonly readsChain: boolean;
  /** Whether it is given its worker's guest agent: keys of its own, quotes, an event log. */
  readonly asksGuest: boolean;
};

const appPrefix = 'app:';
const chainRead = 'chain:read';
const workerGuest = 'worker:guest';

/** How another app, the chain, and the worker's guest agent stand in `outbound` beside hosts. */
export const outboundService = /^(?:app:0x[0-9a-f]{64}|chain:read|worker:guest)$/;

export function outboundPlaces(outbound: readonly string[]): OutboundPlaces {
  return {
    hosts: outbound.filter((place) => !outboundService.test(place)),
    apps: outbound
      .filter((place) => outboundService.test(place) && place.startsWith(appPrefix))
      .map((place) => place.slice(appPrefix.length) as Bytes32),
    readsChain: outbound.includes(chainRead),
    asksGuest: outbound.includes(workerGuest),
  };
}
