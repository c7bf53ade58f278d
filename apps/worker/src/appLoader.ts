import type { RegistryReader } from '@cloister/chain';
import {
  type Bytes32,
  CloisterError,
  differingEnforcedField,
  type EnforcedFields,
  type Manifest,
  maxCodeBytes,
  maxManifestBytes,
  needsKeys,
  outboundPlaces,
  parseManifest,
  sleep,
  unavailableFeature,
} from '@cloister/core';
import type { GuestAgent } from '@cloister/guest';
import { type SandboxDriver, SandboxError, type Tenant, type Workload } from '@cloister/sandbox';
import { AppRefusedError } from './appRefusedError.ts';
import type { ContainerIdentity, ContainerLoader } from './containers/containerLoader.ts';
import type { AppGuests } from './guest/appGuests.ts';
import type { GuestSockets, OpenGuestSocket } from './guest/guestSockets.ts';
import type { AppSecrets } from './keys/appSecrets.ts';
import { assertCodeVersion, type SealedVersion } from './keys/sealedCode.ts';
import type { ModelIdentity, ModelLoader } from './models/modelLoader.ts';
import { givenServices } from './services/givenServices.ts';

export type AppLoaderComponents = {
  readonly registry: RegistryReader;
  /** Bytes by their sha256, checked. */
  readonly blobs: (id: Bytes32, maxBytes: number, signal: AbortSignal) => Promise<Uint8Array>;
  /** One for each kind of app that this worker runs. */
  readonly drivers: readonly SandboxDriver[];
  /** Undefined where this worker runs no models. */
  readonly models?: Pick<ModelLoader, 'load'> | undefined;
  /** Undefined where it runs no containers. */
  readonly containers?: Pick<ContainerLoader, 'load'> | undefined;
  /** Opens what the committee's keys protect; only apps that are placed on this worker run then. */
  readonly secrets: Pick<AppSecrets, 'assertPlaced' | 'anchored' | 'open' | 'code'>;
  /** Makes the guest agents of apps whose manifests name one. */
  readonly guests: Pick<AppGuests, 'open'>;
  /** Where containers reach them. Undefined where this worker runs no containers. */
  readonly guestSockets?: Pick<GuestSockets, 'open'> | undefined;
};

export type AppLoaderInit = {
  readonly maxTenants: number;
  readonly recheckMs: number;
  /** How long a tenant that is no longer wanted may finish its calls. Default: its manifest's time limit and a second. */
  readonly drainMs?: number;
};

/** An app that is ready to be called. */
export type LoadedApp = {
  readonly app: Bytes32;
  readonly manifestId: Bytes32;
  readonly manifest: Manifest;
  readonly keyVersion: bigint;
  readonly minKeyVersion: bigint;
  /** The bundle whose values it runs with; undefined where its manifest names none. */
  readonly secretsId: Bytes32 | undefined;
  readonly tenant: Tenant;
  /** Of a model: what its receipts name. */
  readonly model?: ModelIdentity;
  /** Of containers: the same. */
  readonly container?: ContainerIdentity;
  /** What stands behind its `ctx.guest`, or its guest socket. */
  readonly guest?: GuestAgent;
  /** Of containers: where they reach it. */
  readonly guestSocket?: OpenGuestSocket;
};

/** What a version consists of, fetched, checked and opened. */
type OpenedParts = {
  readonly code: Uint8Array;
  readonly secrets: Awaited<ReturnType<AppSecrets['open']>> | undefined;
  readonly model: Awaited<ReturnType<ModelLoader['load']>> | undefined;
  readonly container: Awaited<ReturnType<ContainerLoader['load']>> | undefined;
};

type Serving = { readonly manifestId: Bytes32; readonly fields: EnforcedFields };

type Entry = {
  readonly loading: Promise<LoadedApp>;
  /** Once it is there. */
  loaded: LoadedApp | undefined;
  recheck: Promise<boolean> | undefined;
  /** When the chain last said what serves, and when it was last asked. */
  checkedAtMs: number;
  askedAtMs: number;
  usedAtMs: number;
};

/** The longest that a call takes from asking for its app until it runs: its caller and its payment are checked on the chain. */
const untilCallRunsMs = 15_000;
/** Between two reads of one app's version, whatever its callers claim to have seen. */
const minRecheckMs = 100;

/**
 * The tenants of this worker: for each app its serving version, fetched by hash, checked against what the chain enforces,
 * in a sandbox of its own. The version is read from the chain again every `recheckMs`.
 */
export class AppLoader {
  readonly #components: AppLoaderComponents;
  readonly #init: AppLoaderInit;
  readonly #entries = new Map<Bytes32, Entry>();

  constructor(components: AppLoaderComponents, init: AppLoaderInit = { maxTenants: 64, recheckMs: 5_000 }) {
    this.#components = components;
    this.#init = init;
  }

  /**
   * The app's serving version. Throws AppRefusedError for what can't be run, with the reason for the receipt.
   * `expected`: the manifest that the caller saw on the chain, perhaps later than we did.
   */
  async load(app: Bytes32, signal: AbortSignal, expected?: Bytes32): Promise<LoadedApp> {
    const known = this.#entries.get(app);
    if (known !== undefined) {
      known.usedAtMs = Date.now();
      const loaded = await known.loading;
      const asExpected = expected === undefined || expected === loaded.manifestId;
      if (asExpected && Date.now() - known.checkedAtMs < this.#init.recheckMs) return loaded;
      if (await this.#isStillServed(loaded, known, signal)) return loaded;
      // Of several calls that find this out, one makes room for the new version.
      if (this.#entries.get(app) === known) {
        this.#entries.delete(app);
        this.#closeLater(loaded);
      }
    }
    const again = this.#entries.get(app);
    if (again !== undefined) return again.loading;
    this.#makeRoom();
    const loading = this.#open(app, signal);
    const entry: Entry = {
      loading,
      loaded: undefined,
      recheck: undefined,
      checkedAtMs: Date.now(),
      askedAtMs: Date.now(),
      usedAtMs: Date.now(),
    };
    this.#entries.set(app, entry);
    loading.then(
      (loaded) => {
        entry.loaded = loaded;
      },
      () => {
        if (this.#entries.get(app) === entry) this.#entries.delete(app);
      },
    );
    return loading;
  }

  /** The app if it is loaded. */
  async loaded(app: Bytes32): Promise<LoadedApp | undefined> {
    return this.#entries.get(app)?.loading.catch(() => undefined);
  }

  /** Whether this is what the chain says now; calls that ask at the same time share one read, and reads keep a distance. */
  #isStillServed(loaded: LoadedApp, entry: Entry, signal: AbortSignal): Promise<boolean> {
    entry.recheck ??= (async () => {
      await sleep(Math.max(0, entry.askedAtMs + minRecheckMs - Date.now()), signal);
      entry.askedAtMs = Date.now();
      const same = await this.#isSame(loaded, signal);
      // Only now: while the chain is away, nothing runs on a version that may have been replaced.
      entry.checkedAtMs = entry.askedAtMs;
      return same;
    })().finally(() => {
      entry.recheck = undefined;
    });
    return entry.recheck;
  }

  async #isSame(loaded: LoadedApp, signal: AbortSignal): Promise<boolean> {
    const { app, manifestId, manifest, keyVersion, minKeyVersion, secretsId } = loaded;
    const { secrets } = this.#components;
    const serving = await this.#serving(app, signal);
    if (serving.manifestId !== manifestId) return false;
    if (!needsKeys(manifest)) return true;
    const { fields } = serving;
    if (BigInt(fields.keyVersion) !== keyVersion || BigInt(fields.minKeyVersion) !== minKeyVersion) return false;
    try {
      await secrets.assertPlaced({ app, manifestId, manifest, fields }, signal);
    } catch (error) {
      // Loading it again says why not, to whoever asks for it.
      if (error instanceof AppRefusedError) return false;
      throw error;
    }
    return secretsId === undefined || (await secrets.anchored(app, signal)) === secretsId;
  }

  async #open(app: Bytes32, signal: AbortSignal): Promise<LoadedApp> {
    const serving = await this.#serving(app, signal);
    const manifest = await this.#manifest(serving.manifestId, signal);
    const differing = differingEnforcedField(manifest, serving.fields);
    if (differing !== undefined)
      throw new AppRefusedError(
        'APP_FIELDS_DIFFER',
        `The manifest says ${differing.field} "${differing.stated}", the contract enforces "${differing.enforced}"`,
      );
    const unavailable = unavailableFeature(manifest);
    if (unavailable !== undefined)
      throw new AppRefusedError('APP_FEATURE_UNAVAILABLE', `This worker can't honour ${unavailable}`);
    const { kind, runtime } = manifest;
    const driver = this.#components.drivers.find((each) => each.kind === kind && each.runtimes.includes(runtime.name));
    if (driver === undefined)
      throw new AppRefusedError(
        'APP_FEATURE_UNAVAILABLE',
        `This worker runs nothing of kind "${kind}" on "${runtime.name}"`,
      );
    const version = { app, manifestId: serving.manifestId, manifest, fields: serving.fields };
    const { secrets } = this.#components;
    if (needsKeys(manifest)) await secrets.assertPlaced(version, signal);
    assertCodeVersion(version);
    const opened = manifest.secrets.length > 0 ? await secrets.open(version, signal) : undefined;
    const code = await this.#code(version, signal);
    const model = driver.kind === 'model' ? await this.#model(manifest, code, signal) : undefined;
    const container = driver.kind === 'container' ? await this.#container(manifest, code, signal) : undefined;
    try {
      return await this.#openWith(driver, version, { code, secrets: opened, model, container }, signal);
    } catch (error) {
      await model?.release();
      throw error;
    }
  }

  /** The tenant with its guest agent: both, or neither. */
  async #openWith(
    driver: SandboxDriver,
    version: SealedVersion & { readonly manifest: Manifest },
    { code, secrets, model, container }: OpenedParts,
    signal: AbortSignal,
  ): Promise<LoadedApp> {
    const { app, manifestId, manifest, fields } = version;
    const guest = await this.#components.guests.open(version, signal);
    const guestSocket = guest && container && (await this.#guestSocket(guest));
    const opening = this.#openTenant(
      driver,
      {
        tenant: app,
        version: manifestId,
        kind: driver.kind,
        code: model === undefined && container === undefined ? code : new Uint8Array(),
        ...(model && { model: model.source }),
        ...(container && {
          container: { ...container.source, ...(guestSocket && { guestSocket: guestSocket.path }) },
        }),
        env: { ...manifest.env, ...secrets?.values },
        outboundHosts: outboundPlaces(manifest.outbound).hosts,
        limits: manifest.limits,
        services: givenServices(manifest),
        ...(manifest.schedules.length > 0 && { scheduled: true }),
        compatibilityDate: manifest.runtime.compatibilityDate,
        deterministic: manifest.determinism === 'deterministic',
      },
      signal,
    );
    opening.catch(() => closeGuest({ guest, guestSocket }));
    const tenant = await opening;
    return {
      app,
      manifestId,
      manifest,
      keyVersion: BigInt(fields.keyVersion),
      minKeyVersion: BigInt(fields.minKeyVersion),
      secretsId: secrets?.bundleId,
      tenant: model?.around(tenant) ?? tenant,
      ...(model && { model: model.identity }),
      ...(container && { container: container.identity }),
      ...(guest && { guest }),
      ...(guestSocket && { guestSocket }),
    };
  }

  /** Where all memory is promised, apps that nobody has used for a while make room, as far as they have any. */
  async #openTenant(driver: SandboxDriver, workload: Workload, signal: AbortSignal): Promise<Tenant> {
    for (;;) {
      try {
        return await driver.open(workload, { signal });
      } catch (error) {
        const isFull = error instanceof SandboxError && error.code === 'SANDBOX_FULL' && error.retry;
        if (!isFull || !(await this.#closeUnused())) throw error;
      }
    }
  }

  /** Closes the app that was used longest ago, if its calls must all be over; false where there is none. */
  async #closeUnused(): Promise<boolean> {
    const now = Date.now();
    const byAge = [...this.#entries].sort(([, left], [, right]) => left.usedAtMs - right.usedAtMs);
    for (const [app, entry] of byAge) {
      const { loaded, usedAtMs } = entry;
      if (loaded === undefined || now - usedAtMs <= loaded.manifest.limits.wallMs + untilCallRunsMs) continue;
      this.#entries.delete(app);
      await loaded.tenant.close().finally(() => closeGuest(loaded));
      return true;
    }
    return false;
  }

  async #code(version: SealedVersion, signal: AbortSignal): Promise<Uint8Array> {
    const { sha256, bytes, sealed } = version.manifest.code;
    const stored = await this.#components.blobs(sha256, maxCodeBytes, signal);
    if (stored.length !== bytes)
      throw new AppRefusedError('APP_CODE_MISMATCH', `The code has ${stored.length} bytes, the manifest says ${bytes}`);
    return sealed === undefined ? stored : this.#components.secrets.code(version, stored, signal);
  }

  async #model(manifest: Manifest, code: Uint8Array, signal: AbortSignal): ReturnType<ModelLoader['load']> {
    const { models } = this.#components;
    if (models === undefined) throw new AppRefusedError('APP_FEATURE_UNAVAILABLE', 'This worker runs no models');
    return models.load(manifest, code, signal);
  }

  async #container(manifest: Manifest, code: Uint8Array, signal: AbortSignal): ReturnType<ContainerLoader['load']> {
    const { containers } = this.#components;
    if (containers === undefined)
      throw new AppRefusedError('APP_FEATURE_UNAVAILABLE', 'This worker runs no containers');
    return containers.load(manifest, code, signal);
  }

  async #guestSocket(guest: GuestAgent): Promise<OpenGuestSocket> {
    const { guestSockets } = this.#components;
    try {
      if (guestSockets === undefined)
        throw new AppRefusedError('APP_FEATURE_UNAVAILABLE', 'This worker has no guest sockets');
      return await guestSockets.open(guest);
    } catch (error) {
      guest.close();
      throw error;
    }
  }

  async #serving(app: Bytes32, signal: AbortSignal): Promise<Serving> {
    try {
      return await this.#components.registry.currentApp(app, undefined, signal);
    } catch (cause) {
      if (cause instanceof CloisterError && cause.code === 'REGISTRY_APP_UNKNOWN')
        throw new AppRefusedError('APP_UNKNOWN', `The chain knows no app "${app}"`, cause);
      throw cause;
    }
  }

  async #manifest(id: Bytes32, signal: AbortSignal): Promise<Manifest> {
    const bytes = await this.#components.blobs(id, maxManifestBytes, signal);
    try {
      return parseManifest(bytes);
    } catch (cause) {
      throw new AppRefusedError(
        'APP_MANIFEST_INVALID',
        cause instanceof Error ? cause.message : 'The manifest is invalid',
        cause,
      );
    }
  }

  /** Ends a tenant once the calls that it may still be answering must be over. */
  #closeLater({ tenant, manifest, ...guest }: LoadedApp): void {
    const drainMs = this.#init.drainMs ?? manifest.limits.wallMs + 1_000;
    setTimeout(() => {
      void tenant.close().catch(() => {});
      closeGuest(guest);
    }, drainMs).unref();
  }

  #makeRoom(): void {
    if (this.#entries.size < this.#init.maxTenants) return;
    const [oldest] = [...this.#entries].sort(([, left], [, right]) => left.usedAtMs - right.usedAtMs);
    if (oldest === undefined) return;
    this.#entries.delete(oldest[0]);
    void oldest[1].loading.then(
      (loaded) => this.#closeLater(loaded),
      () => {},
    );
  }
}

function closeGuest({
  guest,
  guestSocket,
}: {
  guest?: GuestAgent | undefined;
  guestSocket?: OpenGuestSocket | undefined;
}): void {
  void guestSocket?.close().catch(() => {});
  guest?.close();
}
