import { type ChainAccount, type CommitteeReader, type CommitteeStatus, gatekeeperCommitteeAbi } from '@cloister/chain';
import {
  type Address,
  type Bytes32,
  committeeProof,
  type Hex,
  handoverDigest,
  membersHash,
  networkKeysHash,
  type RecordDomain,
} from '@cloister/core';
import type { CommitteeChain, CommitteeState, HandoverRecord } from './committeeState.ts';

export type ChainCommitteeComponents = {
  readonly reader: CommitteeReader;
  /** The operator's account: pays for handovers. */
  readonly operator: ChainAccount;
  readonly domain: RecordDomain;
};

/** The committee's contract, read through all RPCs of the network. */
export class ChainCommittee implements CommitteeChain {
  readonly #components: ChainCommitteeComponents;
  #final: { readonly block: bigint; readonly state: CommitteeState } | undefined;
  /** Signers of the generation that is: who signs a handover from it. */
  #latest: CommitteeState | undefined;

  constructor(components: ChainCommitteeComponents) {
    this.#components = components;
  }

  async state(signal: AbortSignal): Promise<CommitteeState> {
    const { reader } = this.#components;
    const head = await reader.view.head(signal);
    this.#latest = await this.#stateAt(head.number, signal);
    return this.#latest;
  }

  async finalized(signal: AbortSignal): Promise<CommitteeState> {
    const { reader } = this.#components;
    const { number } = await reader.view.finalized(signal);
    if (this.#final?.block === number) return this.#final.state;
    const state = await this.#stateAt(number, signal);
    this.#final = { block: number, state };
    return state;
  }

  async #stateAt(block: bigint, signal: AbortSignal): Promise<CommitteeState> {
    const { reader } = this.#components;
    const status = await reader.status(block, signal);
    // Only a founding asks for it.
    const leases =
      status.generation.number > 0n
        ? []
        : await Promise.all(status.next.members.map(({ operator }) => reader.gatekeeper(operator, block, signal)));
    const lastLeaseUntil = leases.reduce((last, { leaseUntil }) => (leaseUntil > last ? leaseUntil : last), 0n);
    return stateOf(status, lastLeaseUntil);
  }

  async now(signal: AbortSignal): Promise<bigint> {
    const { view } = this.#components.reader;
    return (view.latest ?? (await view.head(signal))).timestamp;
  }

  digestOf(record: HandoverRecord): Bytes32 {
    return handoverDigest(this.#components.domain, {
      ...record,
      membersHash: membersHash(record.members),
      networkKeysHash: networkKeysHash(record.keys),
    });
  }

  async handOver(record: HandoverRecord, signatures: ReadonlyMap<Address, Hex>, signal: AbortSignal): Promise<void> {
    const { reader, operator } = this.#components;
    const { generation } = this.#latest ?? (await this.state(signal));
    const signersOf = (members: CommitteeState['generation']['members']) => members.map(({ signer }) => signer);
    const previous =
      generation.number === 0n ? '0x' : committeeProof(signersOf(generation.members), generation.threshold, signatures);
    const held = committeeProof(signersOf(record.members), record.threshold, signatures);
    if (previous === undefined || held === undefined) return;
    const { threshold, dealers, transcriptHash, publicSharesHash, keys } = record;
    await operator.write(
      {
        address: reader.address,
        abi: gatekeeperCommitteeAbi,
        functionName: 'handOver',
        args: [
          {
            generation: record.generation,
            threshold,
            membersHash: membersHash(record.members),
            dealers,
            transcriptHash,
            publicSharesHash,
            appsPublicKey: keys.apps,
            beaconPublicKey: keys.beacon,
          },
          previous,
          held,
        ],
      },
      signal,
    );
  }
}

function stateOf({ generation, next, keys }: CommitteeStatus, lastLeaseUntil: bigint): CommitteeState {
  return {
    generation,
    next: {
      threshold: next.threshold,
      members: next.members,
      isComplete: next.members.length > 0 && next.members.length === next.eligibleCount,
      lastLeaseUntil,
    },
    keys,
  };
}
