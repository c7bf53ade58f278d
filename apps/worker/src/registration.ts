import type { AttestationDevice } from '@cloister/attestation/attest';
import { type ChainAccount, type RegistryReader, workerRegistryAbi } from '@cloister/chain';
import {
  type Address,
  type Bytes32,
  CloisterError,
  type NetworkFile,
  networkFileId,
  networkKeysHash,
  workerReportData,
  zeroBytes32,
} from '@cloister/core';
import { type HeldLease, LeaseKeeper, type LeaseKeeperComponents } from '@cloister/enclave';
import type { Logger } from '@cloister/service';

export type RegistrationComponents = {
  readonly network: NetworkFile;
  /** In a dstack CVM: the network file's id as the compose file states it. */
  readonly composedNetworkId?: Bytes32 | undefined;
  readonly registry: RegistryReader;
  /** The operator's account: pays, and is trusted for nothing. */
  readonly operator: ChainAccount;
  readonly device: AttestationDevice;
  readonly chainEvidence: LeaseKeeperComponents['chainEvidence'];
  readonly receiptSigner: Address;
  readonly log: Logger;
};

export type RegistrationInit = {
  /** Which of the operator's workers this is, from 0. */
  readonly index: bigint;
  /** Bit 0 function, 1 wasm, 2 model, 3 container. */
  readonly kinds: number;
};

/** A registration that holds. Times in unix seconds. */
export type Registered = HeldLease & { readonly workerId: Bytes32 };

/** Keeps one worker registered: enrols it once, registers its receipt signer, renews the lease well before it ends. */
export class Registration {
  readonly #components: RegistrationComponents;
  readonly #init: RegistrationInit;
  readonly #keeper: LeaseKeeper;
  #workerId: Bytes32 = zeroBytes32;
  #current: Registered | undefined;

  constructor(components: RegistrationComponents, init: RegistrationInit) {
    this.#components = components;
    this.#init = init;
    const { network, composedNetworkId, registry, operator, receiptSigner } = components;
    this.#keeper = new LeaseKeeper(
      { ...components, view: registry.view, ownNetwork: { id: networkFileId(network), composed: composedNetworkId } },
      {
        prepare: async (signal) => {
          this.#workerId = await this.#enrolled(signal);
          await this.#assertNotRetired(signal);
        },
        reportData: async (head, attested, signal) => {
          const expected = await registry.networkKeysHash(head.number, signal);
          // What the enclave was booted with, and nothing that a chain says: a forked one can't make it serve other keys.
          const known = network.networkKeys === null ? zeroBytes32 : networkKeysHash(network.networkKeys);
          if (expected !== known)
            throw new RegistrationError(
              `The network binds to the keys "${expected}", this worker's network file has "${known}"`,
            );
          const binding = {
            chainId: network.chainId,
            registry: network.contracts.workerRegistry,
            operator: operator.address,
            receiptSigner,
            networkKeysHash: known,
          };
          return workerReportData(binding, attested.hash);
        },
        submit: async ({ teeType, evidence }, attestedBlock, signal) => {
          // Once more, at the last moment: a registration that passed a retirement on its way would undo it.
          await this.#assertNotRetired(signal);
          const args = [init.index, receiptSigner, init.kinds, attestedBlock, teeType, evidence] as const;
          await operator.write(
            { address: network.contracts.workerRegistry, abi: workerRegistryAbi, functionName: 'register', args },
            signal,
          );
          return (await registry.workerStatus(this.#workerId, undefined, signal)).leaseUntil;
        },
        stands: async (signal) => {
          const { active, workerId } = await registry.activeSigner(receiptSigner, undefined, signal);
          return active && workerId === this.#workerId;
        },
      },
    );
  }

  /** The registration that holds now. Throws REGISTRATION_MISSING before the first. */
  get current(): Registered {
    return this.#current ?? { ...this.#keeper.current, workerId: this.#workerId };
  }

  /** Registers now. Throws what {@link LeaseKeeper.register} throws, and WORKER_RETIRED where its operator has retired it since it started. */
  async register(signal: AbortSignal): Promise<Registered> {
    return this.#registered(await this.#keeper.register(signal));
  }

  /** Whether it is time to renew, or the chain no longer knows the registration. `now` is the chain's newest timestamp. */
  isDue(now: bigint, signal: AbortSignal): Promise<boolean> {
    return this.#keeper.isDue(now, signal);
  }

  /** Registers with growing pauses until it succeeds or `signal` aborts; refusals of the contract, and WORKER_RETIRED, end it at once. */
  async registerPatiently(signal: AbortSignal): Promise<Registered> {
    return this.#registered(await this.#keeper.registerPatiently(signal));
  }

  #registered(lease: HeldLease): Registered {
    this.#current = { ...lease, workerId: this.#workerId };
    const { log, receiptSigner } = this.#components;
    log.info('registration: done', { workerId: this.#current.workerId, receiptSigner, leaseUntil: lease.leaseUntil });
    return this.#current;
  }

  /**
   * Throws WORKER_RETIRED where the operator has retired what this process registered. A retired record keeps its receipt signer,
   * and each process makes one of its own: so whatever was retired before this process registered, and however old the state that
   * an RPC shows, is never taken for the retirement of this one.
   */
  async #assertNotRetired(signal: AbortSignal): Promise<void> {
    const { registry, receiptSigner } = this.#components;
    const status = await registry.workerStatus(this.#workerId, undefined, signal);
    if (status.state === 'retired' && status.receiptSigner === receiptSigner)
      throw new WorkerRetiredError(this.#workerId, status.operator);
  }

  async #enrolled(signal: AbortSignal): Promise<Bytes32> {
    const { network, registry, operator } = this.#components;
    const at = { address: network.contracts.workerRegistry, abi: workerRegistryAbi };
    for (let count = await registry.enrolledCount(operator.address, signal); count <= this.#init.index; count++)
      await operator.write({ ...at, functionName: 'enroll', args: [] }, signal);
    return registry.workerIdOf(operator.address, this.#init.index, signal);
  }
}

/** The network's keys and this worker's network file differ: the worker would serve under keys that are not the network's. */
export class RegistrationError extends CloisterError<'REGISTRATION_KEYS_UNKNOWN'> {
  override readonly name = 'RegistrationError';
  constructor(message: string) {
    super({
      code: 'REGISTRATION_KEYS_UNKNOWN',
      message,
      hint: 'Start the worker with the network file of today',
    });
  }
}

/** The operator has retired the registration that this process made: it serves nobody any more, and must not register again by itself. */
export class WorkerRetiredError extends CloisterError<'WORKER_RETIRED'> {
  override readonly name = 'WorkerRetiredError';
  constructor(workerId: Bytes32, operator: Address) {
    super({
      code: 'WORKER_RETIRED',
      message: `Worker "${workerId}" was retired on the chain by its operator "${operator}"`,
      meta: { workerId, operator },
      hint: 'Start it again where it is to register again',
    });
  }
}
