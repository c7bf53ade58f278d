import type { AttestationDevice } from '@cloister/attestation/attest';
import { type ChainAccount, type Head, type RegistryReader, workerRegistryAbi } from '@cloister/chain';
import {
  type Address,
  type Bytes32,
  CloisterError,
  type NetworkFile,
  sleep,
  workerReportData,
  zeroBytes32,
} from '@cloister/core';
import type { ChainEvidence } from '@cloister/enclave';
import type { Logger } from '@cloister/service';

type EvidenceDocument = Awaited<ReturnType<AttestationDevice['quote']>>;

export type RegistrationComponents = {
  readonly network: NetworkFile;
  readonly registry: RegistryReader;
  /** The operator's account: pays, and is trusted for nothing. */
  readonly operator: ChainAccount;
  readonly device: AttestationDevice;
  /** Sees to what the chain must know before it can check the evidence, and gives the evidence in the contract's form. */
  readonly chainEvidence: (document: EvidenceDocument, signal: AbortSignal) => Promise<ChainEvidence>;
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
export type Registered = {
  readonly workerId: Bytes32;
  readonly leaseUntil: bigint;
  readonly attestedBlock: bigint;
  readonly evidence: EvidenceDocument;
};

/** Keeps one worker registered: enrols it once, registers its receipt signer, renews the lease well before it ends. */
export class Registration {
  readonly #components: RegistrationComponents;
  readonly #init: RegistrationInit;
  #current: Registered | undefined;
  #renewEverySeconds = 0n;

  constructor(components: RegistrationComponents, init: RegistrationInit) {
    this.#components = components;
    this.#init = init;
  }

  /** The registration that holds now. Throws REGISTRATION_MISSING before the first. */
  get current(): Registered {
    if (this.#current === undefined)
      throw new RegistrationError('REGISTRATION_MISSING', 'The worker is not registered yet');
    return this.#current;
  }

  /** Registers now. Throws TRANSACTION_REFUSED with the contract's reason, such as an image that is not allowed. */
  async register(signal: AbortSignal): Promise<Registered> {
    const { network, registry, operator, device, chainEvidence, receiptSigner, log } = this.#components;
    const workerId = await this.#enrolled(signal);
    const head = await registry.view.head(signal);
    // The block before the newest one: a reorganisation of one block does not spoil the evidence.
    const attested: Head = head.number > 0n ? await registry.view.blockAt(head.number - 1n, signal) : head;
    const binding = {
      chainId: network.chainId,
      registry: network.contracts.workerRegistry,
      operator: operator.address,
      receiptSigner,
      networkKeysHash: await registry.networkKeysHash(head.number, signal),
    };
    if (binding.networkKeysHash !== zeroBytes32)
      throw new RegistrationError('REGISTRATION_KEYS_UNKNOWN', 'The network has keys that its file does not name');
    const evidence = await device.quote(workerReportData(binding, attested.hash), { signal });
    const forChain = await chainEvidence(evidence, signal);
    await operator.write(
      {
        address: network.contracts.workerRegistry,
        abi: workerRegistryAbi,
        functionName: 'register',
        args: [this.#init.index, receiptSigner, this.#init.kinds, attested.number, forChain.teeType, forChain.evidence],
      },
      signal,
    );
    const status = await registry.workerStatus(workerId, undefined, signal);
    this.#renewEverySeconds = (status.leaseUntil - head.timestamp) / 2n;
    this.#current = { workerId, leaseUntil: status.leaseUntil, attestedBlock: attested.number, evidence };
    log.info('registration: done', { workerId, receiptSigner, leaseUntil: status.leaseUntil });
    return this.#current;
  }

  /**
   * Whether it is time to renew, or the chain no longer knows the registration: an eviction, a chain that was
   * reorganised or restored. `now` is the chain's newest timestamp.
   */
  async isDue(now: bigint, signal: AbortSignal): Promise<boolean> {
    const current = this.current;
    if (now + this.#renewEverySeconds >= current.leaseUntil) return true;
    const { active, workerId } = await this.#components.registry.activeSigner(
      this.#components.receiptSigner,
      undefined,
      signal,
    );
    return !active || workerId !== current.workerId;
  }

  /** Registers with growing pauses until it succeeds or `signal` aborts; refusals of the contract end it at once. */
  async registerPatiently(signal: AbortSignal): Promise<Registered> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.register(signal);
      } catch (error) {
        if (signal.aborted || isFinal(error)) throw error;
        this.#components.log.warn('registration: failed, trying again', { error, attempt });
        await sleep(Math.min(30_000, 250 * 2 ** Math.min(attempt, 7)) * (0.5 + Math.random() / 2), signal);
      }
    }
  }

  async #enrolled(signal: AbortSignal): Promise<Bytes32> {
    const { network, registry, operator } = this.#components;
    const at = { address: network.contracts.workerRegistry, abi: workerRegistryAbi };
    for (let count = await registry.enrolledCount(operator.address, signal); count <= this.#init.index; count++)
      await operator.write({ ...at, functionName: 'enroll', args: [] }, signal);
    return registry.workerIdOf(operator.address, this.#init.index, signal);
  }
}

/** Refusals that no waiting mends. A block that went stale between quote and transaction is not among them. */
function isFinal(error: unknown): boolean {
  if (!(error instanceof CloisterError) || error.code !== 'TRANSACTION_REFUSED') return false;
  return !/Block(TooOld|Unknown|HashMismatch)/.test(String(error.meta.errorName));
}

export class RegistrationError extends CloisterError<'REGISTRATION_MISSING' | 'REGISTRATION_KEYS_UNKNOWN'> {
  override readonly name = 'RegistrationError';
  constructor(code: RegistrationError['code'], message: string) {
    super({ code, message });
  }
}
