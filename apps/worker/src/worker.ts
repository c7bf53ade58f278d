import type { AttestationDevice } from '@cloister/attestation/attest';
import { evidenceJson } from '@cloister/attestation/verify';
import {
  type ChainAccount,
  CommitteeReader,
  type NetworkClock,
  RegistryHistory,
  type RegistryReader,
} from '@cloister/chain';
import type { CallOpen, FrameStream } from '@cloister/channel/frame';
import { KeyRing } from '@cloister/channel/worker';
import {
  type Address,
  announcementToJson,
  type Bytes32,
  CloisterError,
  fetchBlob,
  keyConfigDigest,
  keyConfigStatement,
  type NetworkFile,
  placementTermEpochs,
  sleep,
  tickAt,
  type WorkerAnnouncement,
} from '@cloister/core';
import { fromHex, toHex } from '@cloister/crypto';
import type { ChainEvidence } from '@cloister/enclave';
import { BeaconReader, PlacementReader } from '@cloister/placement';
import type { SandboxDriver } from '@cloister/sandbox';
import type { Logger } from '@cloister/service';
import { AppLoader } from './appLoader.ts';
import { Callers } from './callers.ts';
import { CallServer } from './callServer.ts';
import { KeptAnswers } from './keptAnswers.ts';
import { AppSecrets, type AppSecretsComponents } from './keys/appSecrets.ts';
import { KeyClient } from './keys/keyClient.ts';
import { OwnerLogs } from './ownerLogs.ts';
import { ReceiptBook, type SignDigest } from './receiptBook.ts';
import { type Registered, Registration } from './registration.ts';

export type WorkerComponents = {
  readonly network: NetworkFile;
  /** In a dstack CVM: the network file's id as the compose file states it. */
  readonly composedNetworkId?: Bytes32 | undefined;
  readonly registry: RegistryReader;
  readonly operator: ChainAccount;
  readonly device: AttestationDevice;
  readonly chainEvidence: (
    document: Awaited<ReturnType<AttestationDevice['quote']>>,
    signal: AbortSignal,
  ) => Promise<ChainEvidence>;
  readonly driver: SandboxDriver;
  /** The receipt signer, made at boot: its address and how to sign with it. The key itself stays with who made it. */
  readonly receiptSigner: { readonly address: Address; readonly sign: SignDigest };
  /** Tells the gateways. */
  readonly announce: (announcement: string) => void;
  readonly log: Logger;
};

export type WorkerInit = { readonly index: bigint; readonly tickMs?: number };

const functionKind = 0b0001;

/** The enclave service: registered, announced, answering sealed calls, for as long as it runs. */
export class Worker {
  readonly #components: WorkerComponents;
  readonly #registration: Registration;
  readonly #keys = new KeyRing();
  readonly #kept = new KeptAnswers();
  readonly #tickMs: number;
  readonly #signed: { config: Uint8Array; notBefore: bigint; notAfter: bigint; signature: Uint8Array }[] = [];
  #server: CallServer | undefined;
  #loop: Promise<void> | undefined;
  #announced = '';

  constructor(components: WorkerComponents, init: WorkerInit) {
    this.#components = components;
    this.#tickMs = init.tickMs ?? 1_000;
    this.#registration = new Registration(
      { ...components, receiptSigner: components.receiptSigner.address },
      { index: init.index, kinds: functionKind },
    );
  }

  get registered(): Registered {
    return this.#registration.current;
  }

  /** Registers, makes the first key, announces it, and keeps all of that true until `signal` aborts. */
  async start(signal: AbortSignal, onLost: (error: unknown) => void): Promise<Registered> {
    const { registry, driver, network, receiptSigner } = this.#components;
    const clock = await registry.clock(signal);
    const registered = await this.#registration.registerPatiently(signal);
    const domain = { chainId: network.chainId, registry: network.contracts.workerRegistry };
    const blobs = (id: Bytes32, maxBytes: number, inner: AbortSignal) =>
      fetchBlob({ stores: network.gateways, id, maxBytes, signal: inner });
    const placement = this.#placement(clock);
    const secrets = this.#secrets(registered.workerId, clock, blobs, placement);
    const apps = new AppLoader({ registry, driver, blobs, secrets });
    this.#server = new CallServer({
      apps,
      callers: new Callers({ domain, receiver: receiptSigner.address, registry, placement, blobs }),
      logs: new OwnerLogs({ domain, workerId: registered.workerId, registry, apps }),
      receipts: new ReceiptBook({ domain, workerId: registered.workerId, sign: receiptSigner.sign }),
      keys: this.#keys,
      kept: this.#kept,
      simulated: this.#components.device.simulated,
      head: () => this.#head(),
      epochAt: (timestamp) => epochAt(clock, timestamp),
      log: this.#components.log,
    });
    await this.#rotateAndAnnounce();
    this.#loop = this.#keepTrue(signal).catch((error: unknown) => {
      if (!signal.aborted) onLost(error);
    });
    return registered;
  }

  /** One stream of a gateway. */
  async serve(stream: FrameStream, open: CallOpen, signal: AbortSignal): Promise<void> {
    if (this.#server === undefined) return stream.reset('internal', 'the worker is starting');
    return this.#server.serve(stream, open, signal);
  }

  /** Ends keys and kept answers. The caller stops gateways and sandboxes. */
  async stop(): Promise<void> {
    await this.#loop;
    this.#keys.wipe();
    this.#kept.clear();
  }

  #placement(clock: NetworkClock): PlacementReader {
    const { registry, network } = this.#components;
    const beacon = new BeaconReader({ network, committee: new CommitteeReader(registry.view, network.contracts) });
    return new PlacementReader({
      registry,
      history: new RegistryHistory(registry.view, network.contracts),
      randomness: async (round, signal) => (await beacon.round(round, signal)).randomness,
      clock,
      termEpochs: placementTermEpochs(network),
    });
  }

  #secrets(
    workerId: Bytes32,
    clock: NetworkClock,
    blobs: AppSecretsComponents['blobs'],
    placement: PlacementReader,
  ): AppSecrets {
    const { registry, network, receiptSigner } = this.#components;
    const committee = new CommitteeReader(registry.view, network.contracts);
    const keys = new KeyClient({ network, committee, sign: receiptSigner.sign, clock });
    const domain = { chainId: network.chainId, registry: network.contracts.workerRegistry };
    const signature: AppSecretsComponents['signature'] = (wish, signal) => keys.signature(wish, signal);
    return new AppSecrets({ domain, registry, placement, blobs, signature, workerId });
  }

  #head() {
    const head = this.#components.registry.view.latest;
    if (head === undefined) throw new WorkerError('WORKER_NO_CHAIN', 'No block of the chain is known yet');
    return head;
  }

  /** Follows the chain's clock: renews the lease and rotates keys in time. A chain that is away is waited for. */
  async #keepTrue(signal: AbortSignal): Promise<void> {
    const { registry, log } = this.#components;
    let away = false;
    for (;;) {
      await sleep(this.#tickMs, signal);
      try {
        const head = await registry.view.head(signal);
        if (away) log.info('chain: back', { block: head.number });
        away = false;
        if (await this.#registration.isDue(head.timestamp, signal)) await this.#registration.registerPatiently(signal);
        await this.#rotateAndAnnounce();
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof CloisterError && error.code === 'TRANSACTION_REFUSED') throw error;
        if (!away) log.warn('chain: away, waiting', { error });
        away = true;
      }
    }
  }

  async #rotateAndAnnounce(): Promise<void> {
    const { network, receiptSigner, announce } = this.#components;
    const registered = this.#registration.current;
    const now = Number(this.#head().timestamp);
    const [newest] = this.#signed;
    // A chain that went back may have given a shorter lease, or a time before the key's own: clients refuse such a key.
    const fits = newest !== undefined && newest.notAfter <= registered.leaseUntil && newest.notBefore <= BigInt(now);
    if ((!fits || this.#keys.needsRotation(now)) && registered.leaseUntil > BigInt(now)) {
      const key = await this.#keys.rotate(now, Number(registered.leaseUntil));
      const domain = { chainId: network.chainId, registry: network.contracts.workerRegistry };
      const [notBefore, notAfter] = [BigInt(key.notBefore), BigInt(key.notAfter)];
      const signature = receiptSigner.sign(
        fromHex(keyConfigDigest(domain, keyConfigStatement(key.config, notBefore, notAfter))),
      );
      this.#signed.unshift({ config: key.config, notBefore, notAfter, signature });
      this.#signed.length = Math.min(this.#signed.length, 2);
    }
    const announcement = JSON.stringify(announcementToJson(this.#announcement()));
    if (announcement === this.#announced) return;
    this.#announced = announcement;
    announce(announcement);
  }

  #announcement(): WorkerAnnouncement {
    const { operator, receiptSigner } = this.#components;
    const { workerId, attestedBlock, evidence } = this.#registration.current;
    return {
      format: 'cloister-worker-1',
      workerId,
      operator: operator.address,
      receiptSigner: receiptSigner.address,
      attestedBlock,
      kinds: ['function'],
      evidence: evidenceJson(evidence),
      keyConfigs: this.#signed.map(({ config, notBefore, notAfter, signature }) => ({
        config: toHex(config),
        notBefore,
        notAfter,
        signature: toHex(signature),
      })),
    };
  }
}

function epochAt(clock: NetworkClock, timestamp: bigint): bigint {
  return tickAt(timestamp, clock.genesis, clock.epochLength);
}

export class WorkerError extends CloisterError<'WORKER_NO_CHAIN' | 'WORKER_WALLS_MISSING'> {
  override readonly name = 'WorkerError';
  constructor(code: WorkerError['code'], message: string, hint?: string) {
    super({ code, message, hint });
  }
}
