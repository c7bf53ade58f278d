import { ChainAccount, ChainView, RegistryReader, workerRegistryAbi } from '@cloister/chain';
import { RequestSealer } from '@cloister/channel/client';
import {
  type Address,
  type Bytes32,
  CloisterError,
  type Hex,
  logsPath,
  type NetworkFile,
  networkFileId,
  parseNetworkFile,
  withDeadline,
  zeroBytes32,
} from '@cloister/core';
import type { Placement } from '@cloister/placement';
import type { LocalAccount } from 'viem';
import { readServingApp, type ServingApp } from './apps.ts';
import { Call, type CallComponents, type CallOptions, type CallRequest, type CallResult, type Route } from './call.ts';
import { isChainAway } from './chainAway.ts';
import { Committee } from './committee.ts';
import { type DeployedApp, type DeployOptions, deployApp } from './deploy.ts';
import { Epochs } from './epochs.ts';
import { Gateways } from './gateways.ts';
import { gatherLogs, readLogs, signLogRequest, type WorkerLogs } from './logs.ts';
import { type ProofFile, proofOf, type VerifyProofOptions, type VerifyProofResult, verifyProof } from './proof.ts';
import { type RotatedKeys, type RotateKeysOptions, rotateAppKeys } from './rotateKeys.ts';
import { RoundStatements } from './roundStatements.ts';
import { type ListedWorker, RouteFinder } from './routeFinder.ts';
import { createSealedFetch } from './sealedFetch.ts';
import { anchorSecrets, assertValuesFor, type SecretValues, sealSecrets } from './secrets.ts';
import { WorkerVerifier } from './verifyWorker.ts';

export type ClientOptions = {
  /** The network to trust: a parsed or unparsed network file, chosen by you and never fetched from a gateway. */
  readonly network: NetworkFile | Uint8Array | object;
  /** Replaces the network file's RPC URLs, for a node of your own. */
  readonly rpcs?: readonly string[];
  /** Replaces the network file's gateways. */
  readonly gateways?: readonly string[];
  readonly fetch?: typeof globalThis.fetch;
};

/** `name` is null where no gateway has the manifest. */
export type ListedApp = {
  readonly app: Bytes32;
  readonly name: string | null;
  readonly version: number;
  readonly manifestId: Bytes32;
};

const maxAppAgeMs = 30_000;
const maxKnownApps = 1_024;

/** Opens a network: everything that the client trusts stands in `options.network`. Throws SchemaError for a bad file. */
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
  readonly #verifier: WorkerVerifier;
  readonly #fetch: typeof globalThis.fetch;
  readonly #sealer = new RequestSealer();
  readonly #rpcs: readonly string[];
  readonly #routes: RouteFinder;
  readonly #apps = new Map<Bytes32, { readonly app: ServingApp; readonly atMs: number }>();

  constructor(options: ClientOptions) {
    this.network = parseNetworkFile(options.network);
    this.networkId = networkFileId(this.network);
    this.#rpcs = options.rpcs ?? this.network.rpcs;
    this.#fetch = options.fetch ?? globalThis.fetch.bind(globalThis);
    const view = new ChainView({ chainId: this.network.chainId, rpcs: this.#rpcs });
    this.registry = new RegistryReader(view, this.network.contracts);
    this.gateways = new Gateways({ urls: options.gateways ?? this.network.gateways, fetch: this.#fetch });
    this.committee = new Committee({ network: this.network, registry: this.registry, fetch: this.#fetch });
    this.epochs = new Epochs({
      network: this.network,
      registry: this.registry,
      committee: this.committee,
      fetch: this.#fetch,
    });
    this.#verifier = new WorkerVerifier({ network: this.network, registry: this.registry });
    const statements = new RoundStatements({ network: this.network, gateways: this.gateways });
    const { network, registry, gateways, committee } = this;
    this.#routes = new RouteFinder({ network, registry, gateways, committee, verifier: this.#verifier, statements });
  }

  /** Calls an app and answers once the whole answer is there and its receipt verified. Throws rather than answer unverified. */
  async call(app: Bytes32, request: CallRequest = {}, options: CallOptions = {}): Promise<CallResult> {
    const { timeoutMs, signal } = options;
    if (timeoutMs === undefined) return this.#call(app, request, options);
    // The caller's deadline is for everything, reading the app's manifest included.
    return withDeadline({ timeoutMs, signal, what: 'The call' }, (inner) =>
      this.#call(app, request, { ...options, signal: inner }),
    );
  }

  async #call(app: Bytes32, request: CallRequest, options: CallOptions): Promise<CallResult> {
    const result = await (await this.#newCall(app, request, options)).buffered();
    // A term has ended since this client asked who hosts the app.
    if (isRefusedAs('APP_NOT_PLACED', result)) {
      this.#routes.forgetHosts(app);
      return (await this.#newCall(app, request, options)).buffered();
    }
    if (!isRefusedAs('APP_OTHER_MANIFEST', result) || options.manifest !== undefined) return result;
    // Somebody published a version since this client last looked. Nothing has run: the worker's signed refusal says so.
    this.#apps.delete(app);
    const serving = await this.#servingApp(app, options.signal);
    if (serving.manifestId === result.app.manifestId) return result;
    return (await this.#newCall(app, request, options)).buffered();
  }

  /** A `fetch` whose every request goes sealed to one app; host and scheme of the URL are ignored. */
  fetchFor(app: Bytes32, options: Omit<CallOptions, 'signal'> = {}): typeof globalThis.fetch {
    return createSealedFetch((request) => this.#newCall(app, request, options));
  }

  /**
   * Stores code and manifest with the gateways and publishes the app's version on the chain; seals its secrets, and allows the images that
   * may open them.
   */
  async deploy(options: DeployOptions & { readonly account: LocalAccount | Hex }): Promise<DeployedApp> {
    const { registry, gateways, network } = this;
    const images = (signal: AbortSignal | undefined) => this.#images(signal);
    const deployed = await deployApp(
      { account: this.#account(options.account), registry, gateways, network, images },
      options,
    );
    this.#apps.delete(deployed.app);
    this.#routes.forgetHosts(deployed.app);
    return deployed;
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
    const { values, signal } = options;
    assertValuesFor((await this.app(app, signal)).manifest.secrets, values);
    const { fields } = await this.registry.currentApp(app, undefined, signal);
    const { gateways, network } = this;
    const account = this.#account(options.account);
    const sign = (digest: Bytes32) => account.signDigest(digest);
    const bundle = await sealSecrets({ network, app, keyVersion: fields.keyVersion, values, sign });
    return anchorSecrets({ account, gateways, network }, bundle, signal);
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
    const { registry, gateways, network } = this;
    const { manifest } = await this.app(app, options.signal);
    const account = this.#account(options.account);
    const rotated = await rotateAppKeys({ account, registry, gateways, network }, app, manifest, options);
    this.#apps.delete(app);
    return rotated;
  }

  /** Evicts a worker whose image, network file, machine or TCB is no longer accepted, as anyone may. Throws TRANSACTION_REFUSED where it is. */
  async evict(
    workerId: Bytes32,
    options: { readonly account: LocalAccount | Hex; readonly signal?: AbortSignal },
  ): Promise<void> {
    const { account, signal } = options;
    const record = await this.registry.workerRecord(workerId, undefined, signal);
    const contract = { address: this.network.contracts.workerRegistry, abi: workerRegistryAbi };
    await this.#account(account).write({ ...contract, functionName: 'evict', args: [workerId, record] }, signal);
  }

  /**
   * Takes a worker out of the network, in the name of its operator: it is given no more calls from the next block on. It may register
   * again later, and can be evicted for cause until its lease would have ended. Throws TransactionError
   * where the account is not its operator or it is not registered.
   */
  async retireWorker(workerId: Bytes32, options: { readonly account: LocalAccount | Hex }): Promise<void> {
    const { workerRegistry: address } = this.network.contracts;
    await this.#account(options.account).write({
      address,
      abi: workerRegistryAbi,
      functionName: 'retire',
      args: [workerId],
    });
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

  async #logsOf(
    serving: ServingApp,
    route: Route,
    account: LocalAccount,
    signal: AbortSignal | undefined,
  ): Promise<WorkerLogs> {
    const head = await this.registry.view.head(signal);
    const body = await signLogRequest(this.network, account, serving.app, route.worker.workerId, head.timestamp);
    const components = { ...this.#callComponents(), routes: async () => ({ usable: [route], unusable: [] }) };
    const call = new Call(components, serving, { method: 'POST', path: logsPath, body }, signal ? { signal } : {}, [
      zeroBytes32,
    ]);
    return readLogs(route.worker.workerId, await call.buffered());
  }

  /** What a call leaves behind for others to check, with or without opening the answer to them. */
  proof(result: CallResult, open: { readonly answer: boolean }): ProofFile {
    return proofOf(this.networkId, result, open);
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
  async apps(owner: Address, signal?: AbortSignal): Promise<ListedApp[]> {
    const created = await this.registry.appsCreatedBy(owner, signal);
    return Promise.all(
      created.map(async (app) => {
        const { manifestId: id, version } = await this.registry.currentApp(app, undefined, signal);
        const name = await this.app(app, signal).then(
          ({ manifest }) => manifest.name,
          () => null,
        );
        return { app, name, version, manifestId: id };
      }),
    );
  }

  /** Every worker that any gateway lists, verified now or refused with the reason. */
  workers(signal?: AbortSignal): Promise<ListedWorker[]> {
    return this.#routes.workers(signal);
  }

  async #newCall(app: Bytes32, request: CallRequest, options: CallOptions): Promise<Call> {
    const serving = await this.#servingApp(app, options.signal);
    if (options.manifest !== undefined && options.manifest !== serving.manifestId)
      throw new ClientError(
        'CLIENT_OTHER_MANIFEST',
        `App "${app}" serves manifest "${serving.manifestId}", not the expected "${options.manifest}"`,
      );
    return new Call(this.#callComponents(options.worker), serving, request, options);
  }

  #callComponents(only?: Bytes32): CallComponents {
    return {
      chainId: this.network.chainId,
      registry: this.network.contracts.workerRegistry,
      fetch: this.#fetch,
      sealer: this.#sealer,
      routes: (serving, refresh, signal) => this.#routes.routes(serving, { refresh, only }, signal),
    };
  }

  async #servingApp(app: Bytes32, signal: AbortSignal | undefined): Promise<ServingApp> {
    const known = this.#apps.get(app);
    if (known !== undefined && Date.now() - known.atMs < maxAppAgeMs) return known.app;
    try {
      const serving = await this.app(app, signal);
      this.#apps.set(app, { app: serving, atMs: Date.now() });
      if (this.#apps.size > maxKnownApps) this.#apps.delete(this.#apps.keys().next().value as Bytes32);
      return serving;
    } catch (error) {
      // A worker that knows of a later version refuses this one, signed.
      if (known !== undefined && isChainAway(error)) return known.app;
      throw error;
    }
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

/** Whether a worker refused the call, signed and unrun, with this code. */
function isRefusedAs(code: string, { outcome, receipt: { receipt, details } }: CallResult): boolean {
  return outcome === 'refused' && receipt.manifest === zeroBytes32 && details.code === code;
}

export class ClientError extends CloisterError<'CLIENT_NO_RPC' | 'CLIENT_OTHER_MANIFEST'> {
  override readonly name = 'ClientError';
  constructor(code: 'CLIENT_NO_RPC' | 'CLIENT_OTHER_MANIFEST', message: string) {
    super({ code, message });
  }
}
