import {
  type AnnouncedCall,
  type AppTimelockReader,
  type AppVersion,
  type AppVersions,
  type AppVersionsReader,
  appRegistryAbi,
  type ChainAccount,
  type PublishedVersion,
  type RegistryReader,
} from '@cloister/chain';
import {
  type Address,
  BlobError,
  type Bytes32,
  type Manifest,
  manifestFromJson,
  maxManifestBytes,
  type NetworkFile,
  needsKeys,
  parseManifest,
} from '@cloister/core';
import type { Hex, LocalAccount } from 'viem';
import type { Gateways } from '../gateways.ts';
import type { Storage } from '../storage/storage.ts';
import { type Republished, republish } from './republish.ts';
import { VersionError } from './versionError.ts';

export type VersionsComponents = {
  readonly network: NetworkFile;
  readonly reader: AppVersionsReader;
  readonly timelocks: AppTimelockReader;
  readonly registry: RegistryReader;
  readonly gateways: Gateways;
  readonly storage: Storage;
  readonly account: (account: LocalAccount | Hex) => ChainAccount;
  /** Told of an app whose serving version may have changed. */
  readonly onPublished: (app: Bytes32) => void;
};

type By = { readonly account: LocalAccount | Hex; readonly signal?: AbortSignal };

/** A version with what its manifest says, where a gateway still has that. */
export type ListedVersion = PublishedVersion & { readonly manifest: Manifest | null };

export type ListedVersions = Omit<AppVersions, 'versions'> & {
  readonly versions: readonly ListedVersion[];
  /** Where a timelock of the known factory owns the app: its terms, and what it announced for this app or for all of its apps. */
  readonly timelock: Announcements | null;
};

export type Announcements = {
  readonly owner: Address;
  readonly delaySeconds: number;
  readonly vetoers: readonly Address[];
  /** Oldest first. `manifest` of a version that is announced, where a gateway has it. */
  readonly announced: readonly (AnnouncedCall & { readonly manifest: Manifest | null })[];
};

export type RolledBack = Republished & {
  readonly app: Bytes32;
  /** The version whose manifest serves again, or goes on. */
  readonly restored: number;
  /** The version that was pending and was taken back; null where none was. */
  readonly withdrawn: number | null;
};

export type Scaled = Republished & {
  readonly app: Bytes32;
  readonly replicas: number;
  readonly before: number;
  /** Whether the app is placed on so many hosts; one without keys runs on any worker, and the number is recorded alone. */
  readonly placed: boolean;
};

/** How far back a rollback without a version looks. */
const maxLookedAt = 256;

/** Every version of an app, and publishing one of them again or with another number of hosts. */
export class Versions {
  readonly #components: VersionsComponents;

  constructor(components: VersionsComponents) {
    this.#components = components;
  }

  /** The newest versions, newest first. Throws REGISTRY_APP_UNKNOWN. @param limit at most 256 */
  async list(app: Bytes32, limit: number, signal?: AbortSignal): Promise<ListedVersions> {
    const { owner, count, versions } = await this.#components.reader.newest(app, Math.min(limit, maxLookedAt), signal);
    const listed = await Promise.all(
      versions.map(async (version) => ({
        ...version,
        manifest: await this.#manifest(version, signal).catch(() => null),
      })),
    );
    return { owner, count, versions: listed, timelock: await this.#announcements(owner, app, signal) };
  }

  async #announcements(owner: Address, app: Bytes32, signal?: AbortSignal): Promise<Announcements | null> {
    const status = await this.#components.timelocks.statusOf(owner, signal);
    if (status === undefined) return null;
    const { delaySeconds, vetoers, open } = status;
    const announced = open
      // What nobody can read may be about any app.
      .filter((call) => call.app === undefined || call.app === app)
      .map(async (call) => {
        const manifestId = call.does?.name === 'publish' ? (call.does.args[1] as Bytes32) : undefined;
        const manifest = manifestId && (await this.#manifest({ manifestId }, signal).catch(() => null));
        return { ...call, manifest: manifest ?? null };
      });
    return { owner: status.owner, delaySeconds, vetoers, announced: await Promise.all(announced) };
  }

  /**
   * Publishes an earlier version's manifest again, as the next version; a version that is pending is taken back instead. Its notice and
   * vetoer bind as for any version. Images that are allowed to have the app's keys, its secrets and its state stay as they are.
   * Throws VersionError, REGISTRY_APP_UNKNOWN before anything is sent.
   * @param options.version default: the newest that served before and has another manifest
   */
  async rollback(app: Bytes32, options: By & { readonly version?: number }): Promise<RolledBack> {
    const { signal } = options;
    const { account, serving, newest, versions } = await this.#own(app, options);
    if (newest.state === 'pending') {
      if (options.version !== undefined && options.version !== serving.version) throw pending(app, newest);
      const contract = { address: this.#components.network.contracts.appRegistry, abi: appRegistryAbi };
      await account.write({ ...contract, functionName: 'withdraw', args: [app, newest.version] }, signal);
      this.#components.onPublished(app);
      const { manifestId, version, effectiveAt } = serving;
      return { app, restored: version, withdrawn: newest.version, manifestId, version, effectiveAt, published: false };
    }
    const target =
      options.version === undefined
        ? earlier(app, serving, versions)
        : await this.#components.reader.version(app, options.version, signal);
    if (target.state === 'unknown')
      throw new VersionError(
        'VERSION_UNKNOWN',
        `App "${app}" has no version "${target.version}"; its newest is "${newest.version}"`,
        '"cloister versions" lists them',
      );
    if (target.state === 'withdrawn')
      throw new VersionError(
        'VERSION_NEVER_SERVED',
        `Version "${target.version}" was taken back or vetoed before it served`,
        'Choose one that served: "cloister versions" lists them',
      );
    const manifest = await this.#manifest(target, signal).catch((error: unknown) => {
      if (!(error instanceof BlobError) || error.code !== 'BLOB_UNAVAILABLE') throw error;
      throw new VersionError(
        'VERSION_BLOBS_GONE',
        `No gateway has the manifest "${target.manifestId}" of version "${target.version}"`,
        'Deploy its source again',
        { gone: [target.manifestId] },
      );
    });
    const republished = await this.#republish(account, app, manifest, serving, signal);
    return { app, restored: target.version, withdrawn: null, ...republished };
  }

  /**
   * Publishes what serves now with another number of replicas, as the next version: the number stands in the manifest. Throws
   * VersionError, SCHEMA_MISMATCH, REGISTRY_APP_UNKNOWN before anything is sent.
   */
  async scale(app: Bytes32, replicas: number, by: By): Promise<Scaled> {
    const { account, serving, newest } = await this.#own(app, by);
    if (newest.state === 'pending') throw pending(app, newest);
    const manifest = await this.#manifest(serving, by.signal);
    const { placement } = manifest;
    const next = manifestFromJson({ ...manifest, placement: { ...placement, replicas } });
    const republished = await this.#republish(account, app, next, serving, by.signal);
    return { app, replicas, before: placement.replicas, placed: needsKeys(next), ...republished };
  }

  /** What the account owns: the contract would refuse anybody else, for gas. Throws APP_NOT_YOURS. */
  async #own(app: Bytes32, by: By) {
    const account = this.#components.account(by.account);
    const { owner, versions } = await this.#components.reader.newest(app, maxLookedAt, by.signal);
    if (owner !== account.address)
      throw new VersionError(
        'APP_NOT_YOURS',
        `App "${app}" is owned by "${owner}", not by "${account.address}"`,
        'Give the key of its owner: --key FILE',
      );
    const [newest] = versions;
    const serving = versions.find(({ state }) => state === 'serving');
    // The contract has one of each for every app that it knows; further back than this a run of withdrawn versions may reach.
    if (newest === undefined || serving === undefined)
      throw new VersionError(
        'VERSION_NONE_EARLIER',
        `None of the newest "${maxLookedAt}" versions of app "${app}" serves`,
        'Name the version that is to serve again',
      );
    return { account, serving, newest, versions };
  }

  async #republish(
    account: ChainAccount,
    app: Bytes32,
    manifest: Manifest,
    serving: AppVersion,
    signal: AbortSignal | undefined,
  ): Promise<Republished> {
    const { registry, gateways, network, storage, onPublished } = this.#components;
    const republished = await republish(
      { account, registry, gateways, network, storage },
      app,
      manifest,
      serving,
      signal,
    );
    onPublished(app);
    return republished;
  }

  async #manifest({ manifestId }: Pick<PublishedVersion, 'manifestId'>, signal?: AbortSignal): Promise<Manifest> {
    return parseManifest(await this.#components.gateways.getBlob(manifestId, maxManifestBytes, signal));
  }
}

/** The newest version that served before the one of now and was another. Throws VERSION_NONE_EARLIER. */
function earlier(app: Bytes32, serving: PublishedVersion, versions: readonly PublishedVersion[]): PublishedVersion {
  const found = versions.find(
    ({ state, version, manifestId }) =>
      state === 'superseded' && version < serving.version && manifestId !== serving.manifestId,
  );
  if (found !== undefined) return found;
  throw new VersionError(
    'VERSION_NONE_EARLIER',
    `No version of app "${app}" before "${serving.version}" has another manifest`,
    '"cloister versions" lists them',
  );
}

function pending(app: Bytes32, { version, effectiveAt }: PublishedVersion): VersionError {
  return new VersionError(
    'VERSION_PENDING',
    `Version "${version}" of app "${app}" is published and serves from "${new Date(Number(effectiveAt) * 1000).toISOString()}"`,
    'Wait until then, or take it back first: "cloister rollback APP" without a version',
    { version, effectiveAt },
  );
}
