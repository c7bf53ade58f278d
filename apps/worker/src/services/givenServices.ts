import { type Manifest, outboundPlaces } from '@cloister/core';
import type { ServiceName } from '@cloister/sandbox';

/** What a function finds in `ctx` by its manifest. */
export function givenServices({
  kind,
  state,
  outbound,
  chain,
}: Pick<Manifest, 'kind' | 'state' | 'outbound' | 'chain'>): readonly ServiceName[] {
  const { apps, readsChain, asksGuest } = outboundPlaces(outbound);
  return [
    ...(state === null ? [] : (['state'] as const)),
    ...(apps.length === 0 ? [] : (['call'] as const)),
    ...(readsChain ? (['chain'] as const) : []),
    ...(chain === undefined ? [] : (['account'] as const)),
    // Containers have a socket instead.
    ...(asksGuest && kind === 'function' ? (['guest'] as const) : []),
  ];
}
