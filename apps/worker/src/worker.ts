import type { AttestationDevice } from '@cloister/attestation/attest';
import { evidenceJson } from '@cloister/attestation/verify';
import {
  type ChainAccount,
  CommitteeReader,
  type NetworkClock,
  RegistryHistory,
  type RegistryReader,
  TransactionRelay,
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
  priceQuoteDigest,
  sleep,
  tickAt,
  type WorkerAnnouncement,
} from '@cloister/core';
import { fromHex, toHex } from '@cloister/crypto';
import type { ChainEvidence } from '@cloister/enclave';
import { BeaconReader, PlacementReader } from '@cloister/placement';
import type { InstalledEngine, SandboxDriver } from '@cloister/sandbox';
import { createClient } from '@cloister/sdk';
import type { Logger } from '@cloister/service';
import { AccountKeys, type AccountKeysComponents } from './account/accountKeys.ts';
import { AppAccounts } from './account/appAccounts.ts';
import { AppCalls } from './appCalls.ts';
import { AppLoader } from './appLoader.ts';
import { Callers } from './callers.ts';
import { CallServer } from './callServer.ts';
import { ContainerLoader, type ImageLoader } from './containers/containerLoader.ts';
import { AppGuests } from './guest/appGuests.ts';
import { GuestSockets } from './guest/guestSockets.ts';
import { KeptAnswers } from './keptAnswers.ts';
import { AppSecrets, type AppSecretsComponents } from './keys/appSecrets.ts';
import { KeyClient } from './keys/keyClient.ts';
import { ModelLoader } from './models/modelLoader.ts';
import { WeightsStore, type WeightsStoreInit } from './models/weightsStore.ts';
import { kindBits, offeredKinds } from './offeredKinds.ts';
import { OwnerLogs } from './ownerLogs.ts';
import type { Settler } from './payments/settler.ts';
import { type WorkerPaymentsInit, workerPayments } from './payments/workerPayments.ts';
import { ReceiptBook, type SignDigest } from './receiptBook.ts';
import { type Registered, Registration, WorkerRetiredError } from './registration.ts';
import { workerScheduler } from './schedules/workerScheduler.ts';
import { AppServices, type AppServicesComponents } from './services/appServices.ts';
import { AppStates } from './state/appStates.ts';
import { stateOpener } from './state/openState.ts';
import { StateRelay } from './state/stateRelay.ts';

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
  /** One for each kind of app that this worker offers. */
  readonly drivers: readonly SandboxDriver[];
  /** Where models run: their engines, and how their weights are kept. */
  readonly models?: {
    readonly engines: readonly InstalledEngine[];
    readonly weights: WeightsStoreInit;
    /** In memory; undefined where there is no such folder. */
    readonly sealedWeights: WeightsStoreInit | undefined;
  };
  /** Where containers run: what loads their images, and how the images' archives are kept. */
  readonly containers?: {
    readonly images: ImageLoader;
    readonly archives: WeightsStoreInit;
    /** For sockets on which containers reach their guest agents. */
    readonly guestSocketsDir: string;
  };
  /** The receipt signer, made at boot: its address and how to sign with it. The key itself stays with who made it. */
  readonly receiptSigner: { readonly address: Address; readonly sign: SignDigest };
  /** Tells the gateways. */
  readonly announce: (announcement: string) => void;
  readonly log: Logger;
};

export type WorkerInit = {
  readonly index: bigint;
  readonly tickMs?: number;
  /** Default: what is earned is kept in memory, and claimed from 1 PHA on. */
  readonly payments?: WorkerPaymentsInit;
};

const defaultPayments: WorkerPaymentsInit = {
  journalFile: undefined,
  exact: true,
  collectAtLeast: 10n ** 18n,
  keepMs: 2_000,
  anchorMs: 600_000,
  watchMs: 60_000,
};

/** How long the last claim may take when the worker stops. */
const lastClaimMs = 5_000;

/** How long a retired worker waits for the calls that are under way. */
const drainMs = 5_000;

/** The enclave service: registered, announced, answering sealed calls, for as long as it runs. */
export class Worker {
  readonly #components: WorkerComponents;
  readonly #registration: Registration;
  readonly #keys = new KeyRing();
  readonly #kept = new KeptAnswers();
  readonly #tickMs: number;
  readonly #signed: { config: Uint8Array; notBefore: bigint; notAfter: bigint; signature: Uint8Array }[] = [];
  readonly #payments: WorkerPaymentsInit;
  readonly #stores: WeightsStore[] = [];
  #settler: Settler | undefined;
  #states: AppStates | undefined;
  #accountKeys: AccountKeys | undefined;
  #server: CallServer | undefined;
  #loop: Promise<void> | undefined;
  #scheduler: Promise<void> | undefined;
  #announced = '';

  constructor(components: WorkerComponents, init: WorkerInit) {
    this.#components = components;
    this.#tickMs = init.tickMs ?? 1_000;
    this.#payments = init.payments ?? defaultPayments;
    this.#registration = new Registration(
      { ...components, receiptSigner: components.receiptSigner.address },
      { index: init.index, kinds: kindBits(components.drivers) },
    );
  }

  get registered(): Registered {
    return this.#registration.current;
  }

  /**
   * Registers, makes the first key, announces it, and keeps all of that true until `signal` aborts. What no waiting mends goes to
   * `onLost`: a refusal of the contract, and WORKER_RETIRED, this one when the calls under way have had their time.
   */
  async start(signal: AbortSignal, onLost: (error: unknown) => void): Promise<Registered> {
    const { registry, drivers, network, receiptSigner } = this.#components;
    const clock = await registry.clock(signal);
    const registered = await this.#registration.registerPatiently(signal);
    const domain = { chainId: network.chainId, registry: network.contracts.workerRegistry };
    const blobs = (id: Bytes32, maxBytes: number, inner: AbortSignal) =>
      fetchBlob({ stores: network.gateways, id, maxBytes, signal: inner });
    const placement = this.#placement(clock);
    const committee = new CommitteeReader(registry.view, network.contracts);
    const keys = new KeyClient({ network, committee, sign: receiptSigner.sign, clock });
    const signature: AppSecretsComponents['signature'] = (wish, inner) => keys.signature(wish, inner);
    const { workerId } = registered;
    const secrets = new AppSecrets({ domain, registry, placement, blobs, signature, workerId });
    const open = stateOpener({ network, committee, receiptSigner, clock, signature });
    const client = createClient({ network });
    const calls = new AppCalls({ client, sign: receiptSigner.sign });
    const hosts = async (app: Bytes32, inner: AbortSignal) => (await client.placement(app, inner)).hosts;
    const relay = new StateRelay({ client, calls, hosts, workerId });
    this.#states = new AppStates({ open, elsewhere: (...asked) => relay.ask(...asked) });
    const { device } = this.#components;
    const now = () => Number(this.#head().timestamp);
    const guests = new AppGuests({ network, domain, device, receiptSigner, signature, now });
    const apps = new AppLoader({
      registry,
      drivers,
      blobs,
      secrets,
      guests,
      guestSockets:
        this.#components.containers && new GuestSockets(this.#components.containers.guestSocketsDir, signal),
      models: this.#models(blobs),
      containers: this.#containers(blobs),
    });
    const receipts = new ReceiptBook({ domain, workerId: registered.workerId, sign: receiptSigner.sign });
    const { cashier, settler } = workerPayments({ ...this.#components, book: receipts }, this.#payments);
    await settler.start(signal);
    this.#settler = settler;
    const services = this.#services({ calls, states: this.#states, signature });
    this.#server = new CallServer({
      apps,
      payments: cashier,
      callers: new Callers({ domain, receiver: receiptSigner.address, registry, placement, blobs }),
      logs: new OwnerLogs({ domain, workerId: registered.workerId, registry, apps }),
      services,
      states: this.#states,
      receipts,
      keys: this.#keys,
      kept: this.#kept,
      simulated: this.#components.device.simulated,
      head: () => this.#head(),
      epochAt: (timestamp) => epochAt(clock, timestamp),
      log: this.#components.log,
    });
    await this.#rotateAndAnnounce();
    const parts = { network, registry, placement, blobs, states: this.#states, apps, services, workerId };
    this.#scheduler = workerScheduler({ ...parts, log: this.#components.log }).run(signal);
    this.#loop = this.#keepTrue(signal).catch(async (error: unknown) => {
      if (error instanceof WorkerRetiredError) await this.#server?.drain(drainMs, signal);
      if (!signal.aborted) onLost(error);
    });
    return registered;
  }

  /** One stream of a gateway. */
  async serve(stream: FrameStream, open: CallOpen, signal: AbortSignal): Promise<void> {
    if (this.#server === undefined) return stream.reset('internal', 'the worker is starting');
    return this.#server.serve(stream, open, signal);
  }

  /** Ends keys, states and kept answers. The caller stops gateways and sandboxes. */
  async stop(): Promise<void> {
    await this.#loop;
    await this.#scheduler;
    await this.#states?.close();
    this.#accountKeys?.close();
    await this.#settler?.stop(AbortSignal.timeout(lastClaimMs));
    for (const store of this.#stores) store.stop();
    this.#keys.wipe();
    this.#kept.clear();
  }

  #services(
    shared: Pick<AppServicesComponents, 'calls'> & { readonly states: AppStates } & Pick<
        AccountKeysComponents,
        'signature'
      >,
  ): AppServices {
    const { states, calls, signature } = shared;
    const { view } = this.#components.registry;
    const { chainId, rpcs } = this.#components.network;
    const relay = new TransactionRelay({ chainId, rpcs });
    this.#accountKeys = new AccountKeys({ chainId, signature });
    const accounts = new AppAccounts({ chainId, view, relay, states, keys: this.#accountKeys });
    const clockMs = () => Date.now();
    return new AppServices({ states, calls, chain: { view, clockMs }, account: { accounts, relay, view, clockMs } });
  }

  #models(blobs: AppSecretsComponents['blobs']): ModelLoader | undefined {
    const { models } = this.#components;
    if (models === undefined) return undefined;
    const { engines, weights, sealedWeights } = models;
    return new ModelLoader({
      weights: this.#store(blobs, weights),
      sealedWeights: sealedWeights && this.#store(blobs, sealedWeights),
      engines,
      device: this.#components.device,
    });
  }

  #containers(blobs: AppSecretsComponents['blobs']): ContainerLoader | undefined {
    const { containers } = this.#components;
    if (containers === undefined) return undefined;
    const { images, archives } = containers;
    return new ContainerLoader({ images, archives: this.#store(blobs, archives) }, { patienceMs: archives.patienceMs });
  }

  #store(blobs: AppSecretsComponents['blobs'], init: WeightsStoreInit): WeightsStore {
    const store = new WeightsStore({ blobs }, init);
    this.#stores.push(store);
    return store;
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

  #head() {
    const head = this.#components.registry.view.latest;
    if (head === undefined) throw new WorkerError('WORKER_NO_CHAIN', 'No block of the chain is known yet');
    return head;
  }

  /** Follows the chain's clock: renews the lease and rotates keys in time. A chain that is away is waited for. Throws WORKER_RETIRED. */
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
        if (error instanceof WorkerRetiredError) throw error;
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

  /** What this worker asks, for as long as its registration holds. */
  #quote(): WorkerAnnouncement['quote'] {
    const { prices } = this.#payments;
    if (prices === undefined) return null;
    const { network, receiptSigner } = this.#components;
    const domain = { chainId: network.chainId, registry: network.contracts.workerRegistry };
    const quote = { ...prices, notAfter: this.#registration.current.leaseUntil };
    return { ...quote, signature: toHex(receiptSigner.sign(fromHex(priceQuoteDigest(domain, quote)))) };
  }

  #announcement(): WorkerAnnouncement {
    const { operator, receiptSigner, drivers } = this.#components;
    const { workerId, attestedBlock, evidence } = this.#registration.current;
    return {
      format: 'cloister-worker-1',
      workerId,
      operator: operator.address,
      receiptSigner: receiptSigner.address,
      attestedBlock,
      kinds: offeredKinds(drivers),
      evidence: evidenceJson(evidence),
      keyConfigs: this.#signed.map(({ config, notBefore, notAfter, signature }) => ({
        config: toHex(config),
        notBefore,
        notAfter,
        signature: toHex(signature),
      })),
      quote: this.#quote(),
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
