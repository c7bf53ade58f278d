import { type Address, type Bytes32, canonicalJson, tagHash } from '@cloister/core';
import { keccak256, toHex, utf8 } from '@cloister/crypto';
import type { CommitteeState, Member } from '../committeeState.ts';

export type SessionInit = {
  readonly chainId: number;
  readonly committee: Address;
  readonly state: CommitteeState;
  /** Number of the attempt, by the chain's clock. */
  readonly attempt: bigint;
};

/** The name of one attempt to get from one generation to the next: who means other members means another session. */
export function sessionOf({ chainId, committee, state, attempt }: SessionInit): Bytes32 {
  const { generation, next } = state;
  const members = {
    before: generation.members.map(nameOf),
    after: next.members.map(nameOf),
    threshold: next.threshold,
  };
  return tagHash(
    'cloister/ceremony: v1',
    chainId,
    committee,
    generation.number,
    generation.digest,
    toHex(keccak256(utf8(canonicalJson(members)))),
    attempt,
  );
}

/** Whether the same enclaves stand in both lists, in the same order. */
export function areSameMembers(left: readonly Member[], right: readonly Member[]): boolean {
  return canonicalJson(left.map(nameOf)) === canonicalJson(right.map(nameOf));
}

function nameOf({ operator, signer, hpkeKey }: Member): readonly string[] {
  return [operator, signer, hpkeKey];
}
