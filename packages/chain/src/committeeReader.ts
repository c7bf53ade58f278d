import type { Address, Bytes32, Hex, NetworkFile } from '@cloister/core';
import { zeroAddress } from '@cloister/core';
import type { ChainView } from './chainView.ts';
import { gatekeeperCommitteeAbi, imageRegistryAbi } from './generated/index.ts';
import { type TeePolicyStatus, teePolicyStatus } from './registryReader.ts';

/** A gatekeeper as the committee's contract has it. */
export type CommitteeMember = {
  readonly operator: Address;
  /** secp256k1: what it says is signed by it. */
  readonly signer: Address;
  /** X25519: what is meant for it is sealed to it. */
  readonly hpkeKey: Bytes32;
  /**
   * Where it can be reached, as one RPC lists it: a hint. Nothing depends on it but whether it answers. Empty where unknown.
   */
  readonly endpoint: string;
};

/** The committee at one block. */
export type CommitteeStatus = {
  readonly generation: {
    /** 0 before there are keys. */
    readonly number: bigint;
    /** Unix seconds of the block with its handover. */
    readonly since: bigint;
    readonly threshold: number;
    readonly digest: Bytes32;
    readonly publicSharesHash: Bytes32;
    /** In the order of their indices, which count from 1. */
    readonly members: readonly CommitteeMember[];
  };
  /** Who would be members if a handover came now; `eligibleCount` may be. */
  readonly next: {
    readonly threshold: number;
    readonly members: readonly CommitteeMember[];
    readonly eligibleCount: number;
  };
  /**
   * Whether the limits per operator and vendor never hold here: fixed at deployment, for development networks only.
   */
  readonly isDiversityWaived: boolean;
  /** BLS12-381 public keys in G1, compressed; undefined before there are any. */
  readonly keys: { readonly apps: Hex; readonly beacon: Hex } | undefined;
};

/** How long a read endpoint serves before it is read again, in ms. */
const endpointMs = 15_000;

/** Typed reads of a network's committee through a {@link ChainView}. `block` pins them all to one state. */
export class CommitteeReader {
  readonly view: ChainView;
  readonly address: Address;
  readonly #endpoints = new Map<Address, { readonly url: string; readonly readAtMs: number }>();

  constructor(view: ChainView, contracts: Pick<NetworkFile['contracts'], 'gatekeeperCommittee'>) {
    this.view = view;
    this.address = contracts.gatekeeperCommittee;
  }

  /** The committee as of a block, on which all RPCs agree. */
  async status(block: bigint, signal?: AbortSignal): Promise<CommitteeStatus> {
    const [generation, members, next, apps, beacon, isDiversityWaived] = await Promise.all([
      this.view.read({ ...this.#at('generation'), args: [], block }, signal),
      this.view.read({ ...this.#at('members'), args: [], block }, signal),
      this.view.read({ ...this.#at('nextMembers'), args: [], block }, signal),
      this.view.read({ ...this.#at('appsPublicKey'), args: [], block }, signal),
      this.view.read({ ...this.#at('beaconPublicKey'), args: [], block }, signal),
      this.view.read({ ...this.#at('diversityWaived'), args: [], block }, signal),
    ]);
    const [operators, signers, hpkeKeys, threshold, eligibleCount] = next;
    await this.#findEndpoints([...members[1], ...signers], signal);
    return {
      generation: {
        number: generation.number,
        since: generation.since,
        threshold: generation.threshold,
        digest: generation.digest,
        publicSharesHash: generation.publicSharesHash,
        members: this.#members(...members),
      },
      next: {
        threshold,
        members: this.#members(operators, signers, hpkeKeys),
        eligibleCount: Number(eligibleCount),
      },
      isDiversityWaived,
      keys: apps === '0x' ? undefined : { apps, beacon },
    };
  }

  networkKeysHash(block?: bigint, signal?: AbortSignal): Promise<Bytes32> {
    return this.view.read({ ...this.#at('networkKeysHash'), args: [], ...at(block) }, signal);
  }

  /** What registering by evidence of a TEE type asks; undefined where the type can't register. */
  async teePolicy(teeType: number, block?: bigint, signal?: AbortSignal): Promise<TeePolicyStatus | undefined> {
    return teePolicyStatus(await this.view.read({ ...this.#at('teePolicyOf'), args: [teeType], ...at(block) }, signal));
  }

  /** An operator's registration. `leaseUntil` in unix seconds, zero where there is none. */
  async gatekeeper(
    operator: Address,
    block?: bigint,
    signal?: AbortSignal,
  ): Promise<{
    readonly signer: Address;
    readonly hpkeKey: Bytes32;
    readonly leaseUntil: bigint;
    readonly eligible: boolean;
    readonly bond: bigint;
  }> {
    const status = await this.view.read({ ...this.#at('statusOf'), args: [operator], ...at(block) }, signal);
    const { hpkeKey, leaseUntil, eligible, bond } = status;
    return { signer: status.signer.toLowerCase() as Address, hpkeKey, leaseUntil, eligible, bond };
  }

  /** Whether an image is allowed for gatekeepers. */
  async imageAllowed(imageId: Bytes32, block?: bigint, signal?: AbortSignal): Promise<boolean> {
    const registry = await this.view.read({ ...this.#at('imageRegistry'), args: [], ...at(block) }, signal);
    return this.view.read(
      { address: registry, abi: imageRegistryAbi, functionName: 'isImageAllowed', args: [imageId], ...at(block) },
      signal,
    );
  }

  /** Where enclaves can be reached by their last registrations, members or not; those unknown are left out. */
  async endpointsOf(signers: readonly Address[], signal?: AbortSignal): Promise<ReadonlyMap<Address, string>> {
    await this.#findEndpoints(signers, signal);
    return new Map(
      signers.flatMap((signer) => {
        const url = this.#endpoints.get(signer)?.url ?? '';
        return url === '' ? [] : [[signer, url] as const];
      }),
    );
  }

  #members(
    operators: readonly Address[],
    signers: readonly Address[],
    hpkeKeys: readonly Bytes32[],
  ): CommitteeMember[] {
    return operators.map((operator, index) => {
      const signer = (signers[index] ?? zeroAddress).toLowerCase() as Address;
      return {
        operator: operator.toLowerCase() as Address,
        signer,
        hpkeKey: hpkeKeys[index] as Bytes32,
        endpoint: this.#endpoints.get(signer)?.url ?? '',
      };
    });
  }

  /** An endpoint stands in the event of its enclave's last registration; asked for now and then, as a machine may move. */
  async #findEndpoints(signers: readonly Address[], signal: AbortSignal | undefined): Promise<void> {
    const missing = signers.filter((signer) => {
      const known = this.#endpoints.get(signer.toLowerCase() as Address);
      return known === undefined || known.url === '' || Date.now() - known.readAtMs > endpointMs;
    });
    await Promise.all(
      [...new Set(missing)].map(async (signer) => {
        const events = await this.view.events(
          {
            address: this.address,
            abi: gatekeeperCommitteeAbi,
            eventName: 'GatekeeperRegistered',
            args: { signer },
          },
          signal,
        );
        const last = events.at(-1);
        const url = last !== undefined && 'endpoint' in last && typeof last.endpoint === 'string' ? last.endpoint : '';
        this.#endpoints.set(signer.toLowerCase() as Address, { url, readAtMs: Date.now() });
      }),
    );
  }

  #at<const name extends string>(functionName: name) {
    return { address: this.address, abi: gatekeeperCommitteeAbi, functionName };
  }
}

function at(block: bigint | undefined): { block?: bigint } {
  return block === undefined ? {} : { block };
}
