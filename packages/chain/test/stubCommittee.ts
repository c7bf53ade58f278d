import { gatekeeperCommitteeAbi, imageRegistryAbi } from '@cloister/chain';
import { type Address, type Bytes32, type Hex, teeTypes, zeroAddress, zeroBytes32 } from '@cloister/core';
import { encodeAbiParameters, encodeEventTopics, getAbiItem, getAddress } from 'viem';
import { dispatch, type StubHandlers } from './stubDispatch.ts';
import type { StubCall, StubLog } from './stubRpc.ts';

export type StubGatekeeper = {
  operator: Address;
  signer: Address;
  hpkeKey: Bytes32;
  endpoint: string;
  leaseUntil: bigint;
  eligible: boolean;
  bond: bigint;
};

/** The gatekeepers' committee in memory, with the image registry of their own, as a test sets it. */
export class StubCommittee {
  generation = { number: 0n, since: 0n, threshold: 0, digest: zeroBytes32, publicSharesHash: zeroBytes32 };
  members: StubGatekeeper[] = [];
  next: { members: StubGatekeeper[]; threshold: number; eligibleCount: number } = {
    members: [],
    threshold: 0,
    eligibleCount: 0,
  };
  keys: { readonly apps: Hex; readonly beacon: Hex } = { apps: '0x', beacon: '0x' };
  networkKeysHash: Bytes32 = zeroBytes32;
  diversityWaived = false;
  readonly gatekeepers = new Map<Address, StubGatekeeper>();
  readonly images = new Set<Bytes32>();
  readonly imageRegistry: Address = `0x${'1e'.repeat(20)}`;
  /** What came with each handover. */
  readonly handovers: { readonly record: unknown; readonly previousProof: Hex; readonly heldProof: Hex }[] = [];
  readonly #address: Address;

  constructor(address: Address) {
    this.#address = address;
  }

  /** Whether the contract is one of these. */
  answers({ to }: StubCall): boolean {
    return to === this.#address || to === this.imageRegistry;
  }

  answer(call: StubCall): Hex {
    if (call.to === this.imageRegistry)
      return dispatch(imageRegistryAbi, call, { isImageAllowed: (id: Bytes32) => this.images.has(id) });
    return dispatch(gatekeeperCommitteeAbi, call, this.#functions(call));
  }

  /** The log of a registration, as a node lists it. */
  registeredLog({ operator, signer, hpkeKey, endpoint, leaseUntil }: StubGatekeeper, blockNumber = 1n): StubLog {
    const event = getAbiItem({ abi: gatekeeperCommitteeAbi, name: 'GatekeeperRegistered' });
    const record = {
      operator,
      signer,
      hpkeKey,
      teeType: teeTypes.tdx,
      attestedBy: 1,
      simulated: true,
      ...{ imageId: zeroBytes32, configId: zeroBytes32, platformId: zeroBytes32, platformKey: zeroBytes32 },
      ...{ tcb: zeroBytes32, networkKeysHash: zeroBytes32, endpointHash: zeroBytes32 },
    };
    return {
      address: this.#address,
      topics: encodeEventTopics({
        abi: gatekeeperCommitteeAbi,
        eventName: 'GatekeeperRegistered',
        args: { operator, signer },
      }) as Hex[],
      data: encodeAbiParameters(
        event.inputs.filter(({ indexed }) => !indexed),
        [record, endpoint, leaseUntil, 1n, zeroBytes32],
      ),
      blockNumber,
    };
  }

  #functions({ commits }: StubCall): StubHandlers {
    const lists = (members: readonly StubGatekeeper[]) => [
      members.map(({ operator }) => getAddress(operator)),
      members.map(({ signer }) => getAddress(signer)),
      members.map(({ hpkeKey }) => hpkeKey),
    ];
    return {
      generation: () => this.generation,
      members: () => lists(this.members),
      nextMembers: () => [...lists(this.next.members), this.next.threshold, BigInt(this.next.eligibleCount)],
      appsPublicKey: () => this.keys.apps,
      beaconPublicKey: () => this.keys.beacon,
      diversityWaived: () => this.diversityWaived,
      networkKeysHash: () => this.networkKeysHash,
      imageRegistry: () => getAddress(this.imageRegistry),
      teePolicyOf: (teeType: number) => ({
        verifier: teeType === teeTypes.tdx ? getAddress(`0x${'7e'.repeat(20)}`) : zeroAddress,
        leaseDuration: 3_600,
        acceptedTcbStatuses: 0b110,
        minimumTcbEvaluationDataNumber: 18,
      }),
      statusOf: (operator: Address) => {
        const found = this.gatekeepers.get(operator);
        return {
          signer: getAddress(found?.signer ?? zeroAddress),
          leaseUntil: found?.leaseUntil ?? 0n,
          teeType: found === undefined ? 0 : teeTypes.tdx,
          simulated: true,
          eligible: found?.eligible ?? false,
          bond: found?.bond ?? 0n,
          hpkeKey: found?.hpkeKey ?? zeroBytes32,
          recordHash: zeroBytes32,
        };
      },
      handOver: (record: unknown, previousProof: Hex, heldProof: Hex) => {
        if (commits) this.handovers.push({ record, previousProof, heldProof });
      },
    };
  }
}
