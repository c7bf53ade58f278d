import { fromHex, keccak256, toHex } from '@cloister/crypto';
import { tagHash } from '../abi.ts';
import type { RecordDomain } from '../eip712.ts';
import type { Bytes32, Hex } from '../hex.ts';

/** What the committee's beacon key signs in a round: H("cloister/beacon: v1", chainId, registry, round). */
export function beaconMessage(domain: RecordDomain, round: bigint): Bytes32 {
  return tagHash('cloister/beacon: v1', domain.chainId, domain.registry, round);
}

/** The round's randomness: keccak256 of the one signature (96 bytes) over its message. */
export function beaconRandomness(signature: Hex): Bytes32 {
  return toHex(keccak256(fromHex(signature)));
}
