import { type AppVersion, appRegistryAbi, type ChainAccount, type RegistryReader } from '@cloister/chain';
import {
  type Bytes32,
  enforcedFields,
  type Manifest,
  manifestBytes,
  manifestId,
  maxSecretsBundleBytes,
  type NetworkFile,
  parseSecretsBundle,
  unavailableFeature,
  zeroBytes32,
} from '@cloister/core';
import { DeployAppError } from '../deploy.ts';
import type { Gateways } from '../gateways.ts';
import type { Storage } from '../storage/storage.ts';
import { neededBlobs } from './neededBlobs.ts';
import { VersionError } from './versionError.ts';

export type RepublishComponents = {
  readonly account: ChainAccount;
  readonly registry: RegistryReader;
  readonly gateways: Gateways;
  readonly network: NetworkFile;
  readonly storage: Storage;
};

/** The version that serves a manifest, or will. */
export type Republished = {
  readonly manifestId: Bytes32;
  readonly version: number;
  /** Unix seconds from which it serves. */
  readonly effectiveAt: bigint;
  /** False where this very manifest serves already. */
  readonly published: boolean;
};

/**
 * Publishes a manifest whose code is stored already as an app's next version, at its key version of now: secrets and what is sealed stay
 * as they are. Everything that can be known is checked before anything is sent. Throws VERSION_KEYS_OVER, VERSION_SECRETS_MISSING,
 * VERSION_BLOBS_GONE, DEPLOY_FEATURE_UNAVAILABLE.
 * @param serving what serves now
 */
export async function republish(
  components: RepublishComponents,
  app: Bytes32,
  manifest: Manifest,
  serving: AppVersion,
  signal?: AbortSignal,
): Promise<Republished> {
  const { account, registry, gateways, network, storage } = components;
  const contract = { address: network.contracts.appRegistry, abi: appRegistryAbi };
  const id = manifestId(manifest);
  const versionNow = async (published: boolean): Promise<Republished> => {
    const version = published
      ? await registry.view.read({ ...contract, functionName: 'versionCount', args: [app] }, signal)
      : serving.version;
    const of = { ...contract, functionName: 'versionOf', args: [app, version] } as const;
    return { manifestId: id, version, effectiveAt: (await registry.view.read(of, signal)).effectiveAt, published };
  };
  if (id === serving.manifestId) return versionNow(false);

  const unavailable = unavailableFeature(manifest);
  if (unavailable !== undefined) throw new DeployAppError(unavailable);
  const { keyVersion, minKeyVersion } = serving.fields;
  const sealedTo = manifest.code.sealed?.keyVersion ?? keyVersion;
  if (sealedTo < minKeyVersion)
    throw new VersionError(
      'VERSION_KEYS_OVER',
      `Its code is sealed to key version "${sealedTo}", and nobody gets keys below "${minKeyVersion}" any more`,
      'Deploy its source again: it is sealed to the keys of now',
    );
  const anchored = await anchoredBundle(components, app, signal);
  const missing = manifest.secrets.filter((name) => !anchored.names.includes(name));
  if (missing.length > 0)
    throw new VersionError(
      'VERSION_SECRETS_MISSING',
      `It needs the secrets "${missing.join('", "')}", which are not set`,
      'Set them beside those of now: "cloister secrets set APP --secrets-file FILE"',
      { missing },
    );
  const { code, gone } = await neededBlobs(gateways, manifest, signal);
  if (code === undefined || gone.length > 0)
    throw new VersionError(
      'VERSION_BLOBS_GONE',
      `No gateway has "${gone.slice(0, 3).join('", "')}"${gone.length > 3 ? ` and ${gone.length - 3} more` : ''} of it`,
      'Deploy its source again',
      { gone },
    );

  const claims = storage.claimsFor({ app }, account, signal);
  // A gateway may have dropped what another has kept.
  for (const blob of [code, manifestBytes(manifest)]) await gateways.putBlob(blob, signal, claims);
  const args = [app, id, enforcedFields(manifest, keyVersion, minKeyVersion)] as const;
  await account.write({ ...contract, functionName: 'publish', args }, signal);
  const blobs = [id, manifest.code.sha256, ...(anchored.id === zeroBytes32 ? [] : [anchored.id])];
  // It is published: a gateway that does not take the word stores them all the same.
  await storage.claim(app, blobs, { account: account.local, ...(signal && { signal }) }).catch(() => {});
  return versionNow(true);
}

async function anchoredBundle(
  { registry, gateways }: Pick<RepublishComponents, 'registry' | 'gateways'>,
  app: Bytes32,
  signal: AbortSignal | undefined,
): Promise<{ readonly id: Bytes32; readonly names: readonly string[] }> {
  const { bundleId: id } = await registry.secretsOf(app, undefined, signal);
  if (id === zeroBytes32) return { id, names: [] };
  const { secrets } = parseSecretsBundle(await gateways.getBlob(id, maxSecretsBundleBytes, signal));
  return { id, names: secrets.map(({ name }) => name) };
}
