import {
  bridgeMessageId,
  bridgeRoute,
  bridgeVoidDigest,
  interoperableAddress,
  remoteHandoverDigest,
} from '@cloister/core';
import { addr, b32 } from '../../packages/core/test/helpers.ts';

const home = { chainId: 31_337, bridge: addr(0xb1) };
const remote = { chainId: 31_338, bridge: addr(0xb2) };
const remoteCommittee = { chainId: remote.chainId, committee: addr(0xb3) };

/** Messages in both directions, the statements that they are void, and a handover of the committee on the other chain. */
export function bridgeVectors(): object {
  const messages = [
    { source: home, destination: remote, sender: addr(0xa1), number: 1n },
    { source: remote, destination: home, sender: addr(0xa2), number: 2n ** 64n - 1n },
  ].map(({ source, destination, sender, number }) => {
    const message = {
      route: bridgeRoute(source, sender, destination),
      number,
      expiry: 1_790_000_000n,
      sender,
      recipient: addr(0xa3),
      payloadHash: b32(0xa4),
    };
    return {
      source,
      destination,
      message,
      id: bridgeMessageId(destination, message),
      void: bridgeVoidDigest(source, destination, message),
    };
  });
  const handovers = [1, 4].map((count) => {
    const signers = Array.from({ length: count }, (_, index) => addr(0x61 + index));
    const next = { generation: 7n, threshold: count === 1 ? 1 : 3, signers };
    return { next, digest: remoteHandoverDigest(remoteCommittee, next) };
  });
  return {
    comment: 'The bridge, version 1: EIP-712 under the domain of the contract that reads; addresses by ERC-7930.',
    messages,
    remoteCommittee,
    handovers,
    interoperable: [1, 10, 255, 256, 31_338, 2 ** 40].map((chainId) => ({
      chainId,
      account: addr(0xa5),
      address: interoperableAddress(chainId, addr(0xa5)),
    })),
  };
}
