import {
  type BridgeLink,
  type BridgeSide,
  bridgeEnds,
  type MirroredGeneration,
  type NetworkFile,
} from '@cloister/core';
import { areSameSigners, type BridgeWiring } from './bridgeReader.ts';

/** What a link is checked by. */
export interface LinkCheck {
  wiring(side: BridgeSide, signal?: AbortSignal): Promise<BridgeWiring>;
  /** The signers that count on the other chain. */
  mirror(signal?: AbortSignal): Promise<MirroredGeneration>;
  /** A generation of the committee at home; undefined where there was none. */
  generation(number: bigint, signal?: AbortSignal): Promise<MirroredGeneration | undefined>;
}

export type LinkProblem = {
  /** The contracts that stand there are not those that the network file means; or the signers there are not of this committee. */
  readonly code: 'BRIDGE_MISWIRED' | 'BRIDGE_MIRROR_UNKNOWN';
  readonly message: string;
};

/**
 * Why a link is not to be used; undefined where its contracts lead to each other, each asks the committee that it should, and the signers on the other
 * chain are those of a generation of this network's committee. Nobody signs the first of those signers: so it is compared by all who rely on it.
 */
export async function linkProblem(
  network: Pick<NetworkFile, 'chainId' | 'contracts'>,
  link: BridgeLink,
  check: LinkCheck,
  signal?: AbortSignal,
): Promise<LinkProblem | undefined> {
  for (const side of ['home', 'remote'] as const) {
    const { source, destination } = bridgeEnds(network, link, side);
    const { peerChain, peerBridge, committee } = await check.wiring(side, signal);
    const miswired = (what: string): LinkProblem => ({
      code: 'BRIDGE_MISWIRED',
      message: `The bridge "${source.bridge}" on chain "${source.chainId}" ${what}`,
    });
    if (peerChain !== BigInt(destination.chainId) || peerBridge !== destination.bridge)
      return miswired(
        `leads to "${peerBridge}" on chain "${peerChain}", expected "${destination.bridge}" on "${destination.chainId}"`,
      );
    const expected = side === 'home' ? network.contracts.gatekeeperCommittee : link.remote.committee;
    if (committee !== expected) return miswired(`asks the committee "${committee}", expected "${expected}"`);
  }
  const mirror = await check.mirror(signal);
  const own = await check.generation(mirror.generation, signal);
  if (own !== undefined && areSameSigners(own, mirror)) return undefined;
  return {
    code: 'BRIDGE_MIRROR_UNKNOWN',
    message: `The signers on chain "${link.chainId}" are not those of generation "${mirror.generation}" of this committee`,
  };
}
