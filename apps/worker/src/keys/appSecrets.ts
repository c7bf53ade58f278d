import type { RegistryReader } from '@cloister/chain';
import {
  assertSecretsBundle,
  type Bytes32,
  CloisterError,
  keyIdentityHash,
  maxSecretsBundleBytes,
  parseSecretsBundle,
  type RecordDomain,
  secretsIdentity,
  zeroBytes32,
} from '@cloister/core';
import { fromHex, fromUtf8, utf8 } from '@cloister/crypto';
import type { PlacementReader } from '@cloister/placement';
import { openSealed } from '@cloister/threshold/seal';
import { AppRefusedError } from '../appRefusedError.ts';
import type { AppVersion, KeySignature } from './appVersion.ts';
import { openSealedCode, type SealedVersion } from './sealedCode.ts';

export type AppSecretsComponents = {
  readonly domain: RecordDomain;
  readonly registry: RegistryReader;
  readonly placement: PlacementReader;
  /** Bytes by their sha256, checked. */
  readonly blobs: (id: Bytes32, maxBytes: number, signal: AbortSignal) => Promise<Uint8Array>;
  readonly signature: KeySignature;
  readonly workerId: Bytes32;
};

/** What an app's secrets are: their anchored bundle, and the values that its manifest names. */
export type OpenedSecrets = { readonly bundleId: Bytes32; readonly values: Readonly<Record<string, string>> };

/** Gets the secrets of the apps that are placed on this worker, and of no others: the committee gives no more. */
export class AppSecrets {
  readonly #components: AppSecretsComponents;

  constructor(components: AppSecretsComponents) {
    this.#components = components;
  }

  /** Throws APP_NOT_PLACED where this worker is none of the app's hosts now, PLACEMENT_PENDING while nobody is one. */
  async assertPlaced({ app, manifest }: AppVersion, signal: AbortSignal): Promise<void> {
    const { registry, placement, workerId } = this.#components;
    const head = await registry.view.head(signal);
    const { hosts } = await placement.placementOf(app, manifest, head, signal);
    if (!hosts.includes(workerId))
      throw new AppRefusedError('APP_NOT_PLACED', `The app is not placed on this worker but on ${hosts.join(', ')}`);
  }

  /** The bundle that the app's owner anchored last; zero where there is none. */
  async anchored(app: Bytes32, signal: AbortSignal): Promise<Bytes32> {
    return (await this.#components.registry.secretsOf(app, undefined, signal)).bundleId;
  }

  /** What is inside sealed code, checked against the manifest: as {@link openSealedCode}. */
  code(version: SealedVersion, stored: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    return openSealedCode(this.#components, version, stored, signal);
  }

  /** Asks the committee for the key and opens what the manifest names. Throws AppRefusedError, KeyClientError, ChainError, BlobError. */
  async open(version: AppVersion, signal: AbortSignal): Promise<OpenedSecrets> {
    const { domain, registry, blobs, signature } = this.#components;
    const { app, manifestId, manifest, fields } = version;
    const { bundleId, setBy } = await registry.secretsOf(app, undefined, signal);
    if (bundleId === zeroBytes32)
      throw new AppRefusedError(
        'APP_SECRETS_ABSENT',
        `The manifest names "${manifest.secrets.join('", "')}", and the app's owner has not set any secrets`,
      );
    const bytes = await blobs(bundleId, maxSecretsBundleBytes, signal);
    const bundle = refusingInvalid(() => {
      const parsed = parseSecretsBundle(bytes);
      assertSecretsBundle(domain, parsed, { app, ...fields, names: manifest.secrets, setBy });
      return parsed;
    });
    const identity = secretsIdentity(app, bundle.keyVersion);
    const hash = fromHex(keyIdentityHash(domain, identity));
    const key = await signature({ ...identity, manifest: manifestId }, signal);
    try {
      const values: Record<string, string> = {};
      for (const { name, sealed } of bundle.secrets) {
        if (!manifest.secrets.includes(name)) continue;
        const opened = await openSealed(key, hash, utf8(name), fromHex(sealed)).catch((cause: unknown) => {
          throw invalid(cause, `Secret "${name}" does not open`);
        });
        values[name] = refusingInvalid(() => fromUtf8(opened));
        opened.fill(0);
      }
      return { bundleId, values };
    } finally {
      key.wipe();
    }
  }
}

function refusingInvalid<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw invalid(cause, 'The secrets can not be read');
  }
}

/** No text of a cause that may have seen a value: only what our own errors say. */
function invalid(cause: unknown, what: string): AppRefusedError {
  const why = cause instanceof CloisterError ? `: ${cause.message}` : '';
  return new AppRefusedError('APP_SECRETS_INVALID', `${what}${why}`, cause);
}
