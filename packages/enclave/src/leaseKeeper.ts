import type { AttestationDevice } from '@cloister/attestation/attest';
import type { ChainView, Head } from '@cloister/chain';
import { CloisterError, sleep } from '@cloister/core';
import type { Logger } from '@cloister/service';
import type { ChainEvidence } from './intelChainEvidence.ts';
import { assertOwnNetwork, type OwnNetwork } from './ownNetwork.ts';

export type EnclaveEvidence = Awaited<ReturnType<AttestationDevice['quote']>>;

export type LeaseKeeperComponents = {
  readonly view: ChainView;
  readonly device: AttestationDevice;
  /** What its evidence must state. */
  readonly ownNetwork: OwnNetwork;
  /** Sees to what the chain must know before it can check the evidence, and gives the evidence in the contract's form. */
  readonly chainEvidence: (document: EnclaveEvidence, signal: AbortSignal) => Promise<ChainEvidence>;
  readonly log: Logger;
};

/** What is registered, and where. */
export interface Lease {
  /** Does what has to be done once, before evidence is made. */
  prepare(signal: AbortSignal): Promise<void>;
  /** report_data for evidence that names the block `attested`; `head` is the newest block. */
  reportData(head: Head, attested: Head, signal: AbortSignal): Promise<Uint8Array>;
  /** Registers, and answers until when it holds, unix seconds. Throws TRANSACTION_REFUSED. */
  submit(evidence: ChainEvidence, attestedBlock: bigint, signal: AbortSignal): Promise<bigint>;
  /** Whether the chain still knows the registration as it was made. */
  stands(signal: AbortSignal): Promise<boolean>;
}

/** A registration that holds. Times in unix seconds. */
export type HeldLease = {
  readonly leaseUntil: bigint;
  readonly attestedBlock: bigint;
  readonly evidence: EnclaveEvidence;
};

/** Keeps one enclave registered by its evidence: registers, renews well before the end, registers anew after an eviction or a reorganisation. */
export class LeaseKeeper {
  readonly #components: LeaseKeeperComponents;
  readonly #lease: Lease;
  #current: HeldLease | undefined;
  #renewEverySeconds = 0n;

  constructor(components: LeaseKeeperComponents, lease: Lease) {
    this.#components = components;
    this.#lease = lease;
  }

  /** The registration that holds now. Throws REGISTRATION_MISSING before the first. */
  get current(): HeldLease {
    if (this.#current === undefined) throw new LeaseError();
    return this.#current;
  }

  /**
   * Registers now. Throws TRANSACTION_REFUSED with the contract's reason, such as an image that is not allowed, and
   * NETWORK_FILE_MISMATCH before the evidence leaves this process.
   */
  async register(signal: AbortSignal): Promise<HeldLease> {
    const { view, device, ownNetwork, chainEvidence } = this.#components;
    await this.#lease.prepare(signal);
    const head = await view.head(signal);
    // The block before the newest one: a reorganisation of one block does not spoil the evidence.
    const attested = head.number > 0n ? await view.blockAt(head.number - 1n, signal) : head;
    const evidence = await device.quote(await this.#lease.reportData(head, attested, signal), { signal });
    assertOwnNetwork(evidence, ownNetwork);
    const forChain = await chainEvidence(evidence, signal);
    const leaseUntil = await this.#lease.submit(forChain, attested.number, signal);
    this.#renewEverySeconds = (leaseUntil - head.timestamp) / 2n;
    this.#current = { leaseUntil, attestedBlock: attested.number, evidence };
    return this.#current;
  }

  /** Whether it is time to renew, or the chain no longer knows the registration. `now` is the chain's newest timestamp. */
  async isDue(now: bigint, signal: AbortSignal): Promise<boolean> {
    if (now + this.#renewEverySeconds >= this.current.leaseUntil) return true;
    return !(await this.#lease.stands(signal));
  }

  /** Registers with growing pauses until it succeeds or `signal` aborts; what no waiting mends ends it at once. */
  async registerPatiently(signal: AbortSignal): Promise<HeldLease> {
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
}

/** Refusals that no waiting mends. A block that went stale between quote and transaction, keys that came or a committee that changed then, are none. */
function isFinal(error: unknown): boolean {
  if (!(error instanceof CloisterError)) return false;
  if (error.code === 'NETWORK_FILE_MISMATCH' || error.code === 'WORKER_RETIRED') return true;
  if (error.code !== 'TRANSACTION_REFUSED') return false;
  return !/Block(TooOld|Unknown|HashMismatch)|EvidenceBindingMismatch|CommitteeResultVerifierNotSigned/.test(
    String(error.meta.errorName),
  );
}

export class LeaseError extends CloisterError<'REGISTRATION_MISSING'> {
  override readonly name = 'LeaseError';
  constructor() {
    super({ code: 'REGISTRATION_MISSING', message: 'The enclave is not registered yet' });
  }
}
