import {
  AppTimelockReader,
  AppVersionsReader,
  ChainAccount,
  ChainView,
  PaymentsReader,
  RegistryReader,
  SlashingReader,
  StakingReader,
  StorageReader,
} from '@cloister/chain';
import {
  type Address,
  type Bytes32,
  type Hex,
  highestFeeOf,
  logsPath,
  type NetworkFile,
  networkFileId,
  parseNetworkFile,
} from '@cloister/core';
import type { Placement } from '@cloister/placement';
import type { LocalAccount } from 'viem';
import { AppFetch } from './appFetch.ts';
import { type AppState, readAppState } from './appState.ts';
import { appsOf, type ListedApp, readServingApp, type ServingApp } from './apps.ts';
import { Bridges } from './bridge/bridges.ts';
import type { CallOptions, CallRequest, CallResult } from './callTypes.ts';
import { ClientCalls } from './clientCalls.ts';
import { assertWebCrypto, ClientError } from './clientError.ts';
import type { ClientOptions } from './clientOptions.ts';
import { CloisterSocket, type SessionOptions } from './cloisterSocket.ts';
import { Committee } from './committee.ts';
import { type DeployedApp, type DeployOptions, deployApp } from './deploy.ts';
import { type DeployForOptions, type PlannedDeployment, planDeployment, sendPlan } from './deployFor.ts';
import { Epochs } from './epochs.ts';
import { ReceiptWatch } from './equivocation/receiptWatch.ts';
import { Gateways } from './gateways.ts';
import { gatherLogs, readLogs, signLogRequest, type WorkerLogs } from './logs.ts';
import { CallPayments } from './payments/callPayments.ts';
import { type LastReceipts, type Payee, Payer } from './payments/payer.ts';
import { Payments } from './payments/payments.ts';
import {
  type ProofFile,
  proofOf,
  unopenedProofOf,
  type VerifyProofOptions,
  type VerifyProofResult,
  verifyProof,
} from './proof.ts';
import { type Reconciliation, reconcile } from './reconcile.ts';
import { evictWorker, retireWorker } from './removeWorker.ts';
import { type RotatedKeys, type RotateKeysOptions, rotateAppKeys } from './rotateKeys.ts';
import { RoundStatements } from './roundStatements.ts';
import type { Route } from './route.ts';
import { type ListedWorker, RouteFinder } from './routeFinder.ts';
import type { Exchange, ExchangeReceipt } from './sealedFetch.ts';
import type { SecretValues } from './secrets.ts';
import { setSecrets } from './setSecrets.ts';
import { Staking } from './staking/staking.ts';
import { Storage } from './storage/storage.ts';
import { WorkerVerifier } from './verifyWorker.ts';
import { Versions } from './versions/versions.ts';
import { storeSealedWeights, storeWeights } from './weights.ts';
import type { ChannelScheme } from './x402/channelScheme.ts';

/**
 * Opens a network: everything that the client trusts stands in `options.network`. Throws SchemaError for a bad file, CLIENT_NO_WEBCRYPTO in
 * a page whose browser gives it no WebCrypto.
 */
export function createClient(options: ClientOptions): CloisterClient {
  return new CloisterClient(options);
}

/** Deploys, calls and verifies on one network. Verification of workers and receipts can't be switched off. */
export class CloisterClient {
  readonly network: NetworkFile;
  readonly networkId: Bytes32;
  readonly registry: RegistryReader;
  readonly gateways: Gateways;
  /** The gatekeepers that hold the network's keys, and the randomness that they make. */
  readonly committee: Committee;
  /** What the committee recorded of each epoch, and whether it follows. */
  readonly epochs: Epochs;
  /** Deposits for calls, what they come to, and their way back. */
  readonly payments: Payments;
  /** Pools, stakes, bonds and slashes. */
  readonly staking: Staking;
  /** Bytes that gateways keep for apps, paid in advance. */
  readonly storage: Storage;
  /** PHA and messages to other chains and back. */
  readonly bridges: Bridges;
  /** The versions of apps: listed, published again, with another number of hosts. */
  readonly versions: Versions;
  readonly #appFetch: AppFetch;
  readonly #verifier: WorkerVerifier;
  readonly #calls: ClientCalls;
  readonly #rpcs: readonly string[];
  readonly #routes: RouteFinder;
  readonly #receipts: ReceiptWatch;

  constructor(options: ClientOptions) {
    assertWebCrypto();
    this.network = parseNetworkFile(options.network);
    this.networkId = networkFileId(this.network);
    this.#rpcs = options.rpcs ?? this.network.rpcs;
    const fetch = options.fetch ?? globalThis.fetch.bind(globalThis);
    const webSocket = options.webSocket ?? (globalThis as { WebSocket?: typeof WebSocket }).WebSocket;
    const view = new ChainView({ chainId: this.network.chainId, rpcs: this.#rpcs });
    this.registry = new RegistryReader(view, this.network.contracts);
    this.gateways = new Gateways({ urls: options.gateways ?? this.network.gateways, fetch });
    this.committee = new Committee({ network: this.network, registry: this.registry, fetch });
    this.epochs = new Epochs({
      network: this.network,
      registry: this.registry,
      committee: this.committee,
      fetch,
    });
    const { clockMs } = options;
    this.#verifier = new WorkerVerifier({ network: this.network, registry: this.registry, clockMs });
    const statements = new RoundStatements({ network: this.network, gateways: this.gateways, clockMs });
    const { network, registry, gateways, committee } = this;
    const receipts = options.receipts ?? new ReceiptWatch();
    this.#receipts = receipts;
    const verifier = this.#verifier;
    this.#routes = new RouteFinder({ network, registry, gateways, committee, verifier, statements, receipts });
    const reader = new PaymentsReader(view, network.contracts);
    const domain = { chainId: network.chainId, payments: network.contracts.payments };
    const payer =
      options.payer && new Payer({ payments: domain, reader, receipts: this.#knownReceipts }, options.payer);
    const payments = payer && new CallPayments({ payer, gateways });
    const routes = this.#routes;
    const paymentFor = (callOptions: CallOptions) => this.#appFetch.paymentFor(callOptions);
    const calls = { network, registry, gateways, fetch, webSocket, routes, receipts, payments, paymentFor };
    this.#calls = new ClientCalls(calls);
    this.#appFetch = new AppFetch({
      network,
      view,
      reader,
      routes,
      paying: payer && payments && { payer, payments },
      servingApp: (app, signal) => this.#calls.serving(app, signal),
      newCall: (app, request, callOptions, method) => this.#calls.newCall(app, request, callOptions, method),
    });
    this.payments = new Payments({
      network,
      reader,
      payer,
      account: (account) => this.#account(account),
      payees: (app, signal) => this.#payees(app, signal),
    });
    this.staking = new Staking({
      network,
      reader: new StakingReader(view, network.contracts),
      registry,
      slashing: new SlashingReader(view, network.contracts),
      epochs: this.epochs,
      account: (account) => this.#account(account),
    });
    this.storage = new Storage({
      network,
      reader: new StorageReader(view, network.contracts),
      registry,
      gateways,
      account: (account) => this.#account(account),
      servingApp: (app, signal) => this.app(app, signal),
    });
    this.bridges = new Bridges({
      network,
      view,
      fetch,
      account: (account, chain) => new ChainAccount({ ...chain, account }),
    });
    this.versions = new Versions({
      network,
      reader: new AppVersionsReader(view, network.contracts),
      timelocks: new AppTimelockReader(view),
      registry,
      gateways,
      storage: this.storage,
      account: (account) => this.#account(account),
      onPublished: (app) => this.#forget(app),
    });
  }

  /** Calls an app and answers once the whole answer is there and its receipt verified. Throws rather than answer unverified. */
  call(app: Bytes32, request: CallRequest = {}, options: CallOptions = {}): Promise<CallResult> {
    return this.#calls.call(app, request, options);
  }

  /**
   * A `fetch` whose every request goes sealed to one app; host and scheme of the URL are ignored. Of an app with a price, requests are
   * answered by x402's 402 where there is no `maxFee` or no payer, for `@x402/fetch` around this.
   */
  fetchFor(app: Bytes32, options: Omit<CallOptions, 'signal'> = {}): typeof globalThis.fetch {
    return this.#appFetch.fetchFor(app, options);
  }

  /**
   * A WebSocket to an app whose handler upgrades: the standard's object, sealed to the worker both ways, with the receipt of the session.
   * It ends with the app's `wallMs`, and after a minute of silence.
   */
  connectWebSocket(
    app: Bytes32,
    path = '/',
    options: SessionOptions & Omit<CallOptions, 'exact'> = {},
  ): CloisterSocket {
    return new CloisterSocket(app, path, options, (request) => this.#calls.newCall(app, request, options));
  }

  /** The same for a `Request`, with the verified receipt of each answer, once its body was read. */
  exchangeFor(app: Bytes32, options: Omit<CallOptions, 'signal'> = {}): (request: Request) => Promise<Exchange> {
    return this.#appFetch.exchangeFor(app, options);
  }

  /**
   * Pays requests of {@link fetchFor} from this client's channels, by an unmodified client of x402:
   * `x402.register('eip155:*', client.channelScheme())`. Throws PAYMENT_NO_PAYER.
   */
  channelScheme(): ChannelScheme {
    return this.#appFetch.channelScheme();
  }

  /**
   * Stores code and manifest with the gateways and publishes the app's version on the chain; seals its secrets, and allows the images that
   * may open them.
   */
  async deploy(options: DeployOptions & { readonly account: LocalAccount | Hex }): Promise<DeployedApp> {
    const { registry, gateways, network, storage } = this;
    const images = (signal: AbortSignal | undefined) => this.#images(signal);
    const deployed = await deployApp(
      { account: this.#account(options.account), registry, gateways, network, images, storage },
      options,
    );
    this.#forget(deployed.app);
    return deployed;
  }

  /**
   * Stores a version of an app that a contract owns, a timelock for apps or a Safe, and answers the calls that its owner has to send. With
   * an account that owns the timelock they are sent: the first version at once, each later one as an announcement.
   */
  async deployFor(
    options: DeployForOptions & { readonly account?: LocalAccount | Hex },
  ): Promise<PlannedDeployment & { readonly sent: boolean }> {
    const { registry, gateways, network } = this;
    const images = (signal: AbortSignal | undefined) => this.#images(signal);
    const plan = await planDeployment({ registry, gateways, network, images }, options);
    if (options.account === undefined) return { ...plan, sent: false };
    await sendPlan(this.#account(options.account), plan, options.signal);
    this.#forget(plan.app);
    return { ...plan, sent: true };
  }

  #forget(app: Bytes32): void {
    this.#calls.forget(app);
    this.#routes.forgetHosts(app);
  }

  /** Stores a model's weights with the gateways; what it answers is the `code` of `deploy` for a model. Throws WEIGHTS_EMPTY. */
  storeWeights(file: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<Uint8Array> {
    return storeWeights(this.gateways, file, signal);
  }

  /** The same for weights that only the app's hosts may see: to be deployed with `sealCode`. Throws WEIGHTS_EMPTY. */
  storeSealedWeights(file: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<Uint8Array> {
    return storeSealedWeights(this.gateways, file, signal);
  }

  /**
   * Replaces an app's secrets, at once and for every version: all values that its manifest lists, sealed here. Throws SECRETS_MISSING,
   * REGISTRY_APP_UNKNOWN; answers the bundle's id.
   */
  async setSecrets(
    app: Bytes32,
    options: {
      readonly account: LocalAccount | Hex;
      readonly values: SecretValues;
      readonly signal?: AbortSignal;
    },
  ): Promise<Bytes32> {
    const { network, registry, gateways, storage } = this;
    const account = this.#account(options.account);
    const { manifest } = await this.app(app, options.signal);
    return setSecrets({ account, registry, gateways, network, storage }, app, manifest, options);
  }

  /**
   * Gives an app new keys and seals its secrets, and its code where that is sealed, to them: raises the key version, publishes and anchors
   * what is sealed to it, then lets nobody have the older keys any more. Interrupted, it can be made again. Throws as {@link setSecrets},
   * ROTATE_CODE_MISSING, ROTATE_CODE_NOT_SEALED.
   */
  async rotateKeys(
    app: Bytes32,
    options: RotateKeysOptions & { readonly account: LocalAccount | Hex },
  ): Promise<RotatedKeys> {
    const { registry, gateways, network, storage } = this;
    const { manifest } = await this.app(app, options.signal);
    const account = this.#account(options.account);
    const rotated = await rotateAppKeys({ account, registry, gateways, network, storage }, app, manifest, options);
    this.#calls.forget(app);
    const { account: owner, signal } = options;
    await storage.claimServing(app, { account: owner, ...(signal && { signal }) }).catch(() => {});
    return rotated;
  }

  /** Evicts a worker whose image, network file, machine or TCB is no longer accepted, as anyone may. Throws TRANSACTION_REFUSED where it is. */
  async evict(
    workerId: Bytes32,
    options: { readonly account: LocalAccount | Hex; readonly signal?: AbortSignal },
  ): Promise<void> {
    const { registry, network } = this;
    await evictWorker({ registry, account: this.#account(options.account) }, network, workerId, options.signal);
  }

  /**
   * Takes a worker out of the network, in the name of its operator: it is given no more calls from the next block on, and its process
   * stops by itself. Started again it registers again, and it can be evicted for cause until its lease would have ended. Throws TransactionError
   * where the account is not its operator or it is not registered.
   */
  async retireWorker(workerId: Bytes32, options: { readonly account: LocalAccount | Hex }): Promise<void> {
    await retireWorker(this.#account(options.account), this.network, workerId);
  }

  /** Takes over what a payer's store knows of signers' last receipts. */
  get #knownReceipts(): LastReceipts {
    const domain = { chainId: this.network.chainId, registry: this.network.contracts.workerRegistry };
    return (signer, bare) => this.#receipts.remember(domain, signer, bare);
  }

  #account(account: LocalAccount | Hex): ChainAccount {
    const [rpc] = this.#rpcs;
    if (rpc === undefined) throw new ClientError('CLIENT_NO_RPC', 'The network names no RPC');
    return new ChainAccount({ chainId: this.network.chainId, rpc, account });
  }

  async #images(signal: AbortSignal | undefined): Promise<Bytes32[]> {
    const workers = await this.workers(signal);
    return [...new Set(workers.flatMap(({ verified }) => (verified === undefined ? [] : [verified.claims.imageId])))];
  }

  /** What an app printed at each worker that has it loaded. Its owner alone may ask; the request travels sealed. */
  async logs(app: Bytes32, account: LocalAccount, signal?: AbortSignal): Promise<WorkerLogs[]> {
    const serving = await this.app(app, signal);
    const { usable } = await this.#routes.routes(serving, { refresh: true }, signal ?? new AbortController().signal);
    return gatherLogs(
      usable.map((route) => ({ workerId: route.worker.workerId, logs: this.#logsOf(serving, route, account, signal) })),
    );
  }

  /**
   * Asks a host of an app itself, not the app on it: a path below `/.cloister/`, which costs nothing. Its receipt is verified like any
   * other; throws as {@link call} does.
   */
  async askHost(
    worker: Bytes32,
    app: Bytes32,
    request: CallRequest,
    options: Omit<CallOptions, 'worker'> = {},
  ): Promise<CallResult> {
    const serving = await this.#calls.serving(app, options.signal);
    return this.#calls.askWorker(serving, request, { ...options, worker });
  }

  async #logsOf(
    serving: ServingApp,
    route: Route,
    account: LocalAccount,
    signal: AbortSignal | undefined,
  ): Promise<WorkerLogs> {
    const head = await this.registry.view.head(signal);
    const body = await signLogRequest(this.network, account, serving.app, route.worker.workerId, head.timestamp);
    const request = { method: 'POST', path: logsPath, body };
    return readLogs(
      route.worker.workerId,
      await this.#calls.askWorker(serving, request, signal ? { signal } : {}, route),
    );
  }

  /** What a call of an app costs at the most, at all of its limits; zero where it is free. */
  async quote(app: Bytes32, signal?: AbortSignal): Promise<bigint> {
    return highestFeeOf((await this.#calls.serving(app, signal)).manifest);
  }

  /** Whom calls of an app would pay: the operators of its verified workers, each by its gateway. */
  async #payees(app: Bytes32, signal: AbortSignal | undefined): Promise<readonly Omit<Payee, 'signer'>[]> {
    const serving = await this.app(app, signal);
    const { usable } = await this.#routes.routes(serving, { refresh: true }, signal ?? new AbortController().signal);
    const payees = new Map<string, Omit<Payee, 'signer'>>();
    for (const { gateway: url, worker } of usable) {
      const gateway = await this.gateways.payTo(url, signal);
      payees.set(`${worker.operator} ${gateway}`, { operator: worker.operator, gateway });
    }
    return [...payees.values()];
  }

  /** Adds up every unit of PHA that the network's contracts ever moved. Throws ChainError. */
  reconcile(signal?: AbortSignal): Promise<Reconciliation> {
    return reconcile({ network: this.network, view: this.registry.view }, signal);
  }

  /** What a call leaves behind for others to check, with or without opening the answer to them. */
  proof(result: CallResult, open: { readonly answer: boolean }): ProofFile {
    return proofOf(this.networkId, result, open);
  }

  /** The proof of an answer that came by {@link exchangeFor}; it shows the answer to nobody. */
  proofOfExchange({ worker, receipt }: Pick<ExchangeReceipt, 'worker' | 'receipt'>): ProofFile {
    return unopenedProofOf(this.networkId, { worker, receipt });
  }

  /** Checks a proof file from the network file and the chain alone; stops at the first thing that does not hold. */
  verify(proof: unknown, options: VerifyProofOptions = {}): Promise<VerifyProofResult> {
    return verifyProof(
      {
        network: this.network,
        networkId: this.networkId,
        registry: this.registry,
        verifier: this.#verifier,
        gateways: this.gateways,
        receipts: this.#receipts,
      },
      proof,
      options,
    );
  }

  /** The version of an app that serves now, its manifest checked. */
  app(app: Bytes32, signal?: AbortSignal): Promise<ServingApp> {
    return readServingApp(this.registry, this.gateways, app, signal);
  }

  /** The apps that an account created, with what they serve now. */
  apps(owner: Address, signal?: AbortSignal): Promise<ListedApp[]> {
    return appsOf({ registry: this.registry, gateways: this.gateways }, owner, signal);
  }

  /** Every worker that any gateway lists, verified now or refused with the reason. */
  workers(signal?: AbortSignal): Promise<ListedWorker[]> {
    return this.#routes.workers(signal);
  }

  /**
   * What can be known from outside of what an app keeps: the heads and writers of its partitions, as gatekeepers say and the committee
   * has signed, and what gateways store of it. What is in it, its hosts alone can read. Throws STATE_NO_COMMITTEE, STATE_PARTITION_UNKNOWN.
   * @param partitions which; default: all of them
   */
  async state(app: Bytes32, partitions?: readonly number[], signal?: AbortSignal): Promise<AppState> {
    const { network, registry, committee, storage } = this;
    const serving = await this.app(app, signal);
    return readAppState({ network, registry, committee, storage }, serving, partitions, signal);
  }

  /**
   * The workers that host an app with secrets or state now: nobody else gets its keys, and nobody else is asked. Throws PLACEMENT_PENDING
   * in the round of its deployment.
   */
  async placement(app: Bytes32, signal?: AbortSignal): Promise<Placement> {
    const { manifest } = await this.app(app, signal);
    return this.#routes.placement(app, manifest, signal ?? new AbortController().signal);
  }
}
