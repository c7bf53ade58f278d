import {
  BridgeReader,
  type ChainView,
  type CommitteeHistory,
  type Head,
  mirrorOf,
  RemoteCommitteeReader,
} from '@cloister/chain';
import type { BridgeLink, BridgeSide } from '@cloister/core';
import type { HeadWatch } from '../heads/headWatch.ts';
import type { LinkFacts } from './bridgeRules.ts';

export type ChainLinkComponents = {
  readonly link: BridgeLink;
  readonly home: ChainView;
  readonly remote: ChainView;
  readonly history: CommitteeHistory;
  /** Whether the chain that this member sees at home is the one that enough others see. */
  readonly heads: Pick<HeadWatch, 'assertWitnessed' | 'own'>;
};

/**
 * The facts of one judgement, at the newest block of each chain that none of its RPCs takes back, by that chain's own rule. Throws
 * ChainError, also where an RPC knows no such rule; CHAIN_UNWITNESSED.
 */
export async function readLinkFacts(
  { link, home, remote, history, heads }: ChainLinkComponents,
  signal: AbortSignal,
): Promise<LinkFacts> {
  heads.assertWitnessed(heads.own ?? { number: 0n });
  const [here, there] = await Promise.all([home.finalized(signal), remote.finalized(signal)]);
  const ends: Readonly<Record<BridgeSide, { readonly reader: BridgeReader; readonly block: Head }>> = {
    home: { reader: new BridgeReader(home, link.home), block: here },
    remote: { reader: new BridgeReader(remote, link.remote), block: there },
  };
  const mirror = new RemoteCommitteeReader(remote, link.remote);
  return {
    wiring: (side, inner) => ends[side].reader.wiring(ends[side].block.number, inner),
    sentState: (side, id, inner) => ends[side].reader.sentState(id, ends[side].block.number, inner),
    async arrival(side, id, sender, inner) {
      const { reader, block } = ends[side];
      const [arrival, taken] = await Promise.all([
        reader.arrival(id, block.number, inner),
        reader.arrivedCount(sender, block.number, inner),
      ]);
      return { ...arrival, taken };
    },
    mirror: (inner) => mirror.current(there.number, inner),
    isHandoverPending: async (inner) => (await mirror.announced(there.number, inner)) !== undefined,
    generation: async (number, inner) => mirrorOf(await history.generation(number, here, inner)),
    counting: async (inner) => mirrorOf(await history.generationAt(here, inner)),
  };
}
