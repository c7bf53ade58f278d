import { appRegistryAbi, type ChainAccount, type RegistryReader } from '@cloister/chain';
import {
  type Address,
  appId,
  type Bytes32,
  CloisterError,
  enforcedFields,
  type Manifest,
  manifestBytes,
  manifestId,
  manifestOfKind,
  type NetworkFile,
  type RunnableKind,
  unavailableFeature,
  weightsListOf,
  zeroAddress,
  zeroBytes32,
} from '@cloister/core';
import { keccak256, sha256, toHex, utf8 } from '@cloister/crypto';
import { GatewayError, type Gateways } from './gateways.ts';
import { sealCode } from './sealedCode.ts';
import { anchorSecrets, assertValuesFor, type SecretValues, sealSecrets } from './secrets.ts';
import type { Storage } from './storage/storage.ts';

export type DeployOptions = {
  /** Default 'function'. */
  readonly kind?: RunnableKind;
  /**
   * Of a function: one ES module, what `bundleFunction` of @cloister/build makes of a file. Of kind 'wasm': a module. Of a
   * model: what `client.storeWeights` answers.
   */
  readonly code: Uint8Array;
  /** The app's name: with the account it decides the app's id, so deploying it again publishes a new version. */
  readonly name: string;
  /** Anything in the manifest that is not to be at its default. */
  readonly manifest?: Partial<Omit<Manifest, 'format' | 'kind' | 'name' | 'code' | 'limits'>> & {
    readonly limits?: Partial<Manifest['limits']>;
  };
  /** Whether only the app's hosts are to read the code: it is sealed here, before anything leaves this process. Default false. */
  readonly sealCode?: boolean;
  /** Values that only the app's hosts see, in `env`: sealed here, before anything leaves this process. */
  readonly secrets?: SecretValues;
  /**
   * Worker images that may get the app's keys, where its image policy asks its owner. Default: those of the workers that this client
   * verifies now.
   */
  readonly pinImages?: readonly Bytes32[];
  /** Epochs to pay gateways for where none stores anything for free; the account pays and gets back what is cancelled. Default: none. */
  readonly storageEpochs?: number;
  readonly signal?: AbortSignal;
};

export type DeployedApp = {
  readonly app: Bytes32;
  readonly owner: Address;
  readonly manifestId: Bytes32;
  readonly manifest: Manifest;
  readonly version: number;
  /** Unix seconds from which the version serves. */
  readonly effectiveAt: bigint;
  /** Whether anything had to be published: false if this very manifest serves already. */
  readonly published: boolean;
  /** Where the code is sealed: with it, and nobody without it, one can check a source against the manifest. Stands nowhere else. */
  readonly codeSalt: Bytes32 | undefined;
  /** The id of the bundle that this deployment anchored; undefined where it set no secrets. */
  readonly secretsId: Bytes32 | undefined;
  /** Images that this deployment allowed to get the app's keys. */
  readonly pinned: readonly Bytes32[];
};

export type DeployComponents = {
  readonly account: ChainAccount;
  readonly registry: RegistryReader;
  readonly gateways: Gateways;
  readonly network: NetworkFile;
  readonly storage: Storage;
  /** Images of the workers that are verified now. */
  readonly images: (signal: AbortSignal | undefined) => Promise<readonly Bytes32[]>;
};

/** Deploys an app. Throws DEPLOY_FEATURE_UNAVAILABLE, WEIGHTS_LIST_INVALID, SecretsError before anything is stored or sent. */
export async function deployApp(components: DeployComponents, options: DeployOptions): Promise<DeployedApp> {
  const { account, registry, network } = components;
  const { code, name, secrets, signal } = options;
  const stated = statedManifest(options);
  const salt = appSalt(name);
  const app = appId(account.address, salt);
  const at = { address: network.contracts.appRegistry, abi: appRegistryAbi };
  const owner = await registry.appOwner(app, signal);
  const serving = owner === zeroAddress ? undefined : await registry.currentApp(app, undefined, signal);
  const { keyVersion, minKeyVersion } = serving?.fields ?? { keyVersion: 1, minKeyVersion: 1 };
  await assertSecretsFor(stated, secrets, async () => (await registry.secretsOf(app, undefined, signal)).bundleId);
  const sign = (digest: Bytes32) => account.signDigest(digest);
  const sealed = secrets && (await sealSecrets({ network, app, keyVersion, values: secrets, sign }));
  const sealedCode = options.sealCode ? await sealCode({ network, app, keyVersion, name, code }) : undefined;
  const manifest = sealedCode === undefined ? stated : { ...stated, code: sealedCode.reference };
  const id = manifestId(manifest);
  const blobs = [sealedCode?.blob ?? code, manifestBytes(manifest)];
  const stored = await storeBlobs(components, { app, salt }, blobs, options);

  const fields = enforcedFields(manifest, keyVersion, minKeyVersion);
  const published = serving?.manifestId !== id;
  if (serving === undefined) await account.write({ ...at, functionName: 'create', args: [salt, id, fields] }, signal);
  else if (published) await account.write({ ...at, functionName: 'publish', args: [app, id, fields] }, signal);
  const pinned = manifest.imagePolicy === 'network' ? [] : await pinImages(components, app, options);
  const secretsId = sealed && (await anchorSecrets(components, sealed, signal));
  // Named by their app they are dropped later than what nobody names. A gateway that does not take the word stores them all the same.
  const named = [...stored, ...(secretsId === undefined ? [] : [secretsId])];
  await components.storage.claim(app, named, { account: account.local, ...(signal && { signal }) }).catch(() => {});

  const version = await registry.view.read({ ...at, functionName: 'versionCount', args: [app] }, signal);
  const { effectiveAt } = await registry.view.read({ ...at, functionName: 'versionOf', args: [app, version] }, signal);
  return {
    app,
    owner: account.address,
    manifestId: id,
    manifest,
    version,
    effectiveAt,
    published,
    codeSalt: sealedCode?.salt,
    secretsId,
    pinned,
  };
}

/** The manifest that the options state, its code not sealed yet. Throws DEPLOY_FEATURE_UNAVAILABLE, WEIGHTS_LIST_INVALID. */
export function statedManifest({ code, name, secrets, sealCode: isSealed, kind, manifest }: DeployOptions): Manifest {
  const plain = { sha256: toHex(sha256(code)), bytes: code.length };
  const stated = manifestOfKind(kind ?? 'function', {
    ...(secrets === undefined ? {} : { secrets: Object.keys(secrets).sort() }),
    ...manifest,
    name,
    // The key version that it is sealed to is known once the chain was read.
    code: isSealed ? { ...plain, sealed: { digest: zeroBytes32, keyVersion: 1 } } : plain,
  });
  const unavailable = unavailableFeature(stated);
  if (unavailable !== undefined) throw new DeployAppError(unavailable);
  if (stated.kind === 'model') weightsListOf(code, stated.code.sealed !== undefined);
  return stated;
}

/** Bought at the least: room for the next version too. */
const mebibyte = 1_048_576;

/** Stores with the gateways, and pays them where none does it for free and the options allow it. Throws GATEWAY_STORAGE_UNPAID. */
async function storeBlobs(
  components: DeployComponents,
  { app, salt }: { readonly app: Bytes32; readonly salt: Bytes32 },
  blobs: readonly Uint8Array[],
  { storageEpochs: epochs, signal }: DeployOptions,
): Promise<readonly Bytes32[]> {
  const { account, gateways, storage } = components;
  const claim = storage.claimsFor({ app, salt }, account, signal);
  const putAll = async () => {
    const ids: Bytes32[] = [];
    for (const blob of blobs) ids.push(await gateways.putBlob(blob, signal, claim));
    return ids;
  };
  try {
    return await putAll();
  } catch (error) {
    const isUnpaid = error instanceof GatewayError && error.code === 'GATEWAY_STORAGE_UNPAID';
    if (!isUnpaid || epochs === undefined) throw error;
  }
  const bytes = blobs.reduce((sum, blob) => sum + 2 * blob.length, 0);
  const wanted = { bytes: BigInt(Math.ceil((bytes + 1) / mebibyte) * mebibyte), epochs };
  const by = { account: account.local, ...(signal && { signal }) };
  await storage.prepay(app, await storage.quote({ ...wanted, ...(signal && { signal }) }), by);
  return putAll();
}

/** Every secret that the manifest lists has a value, given now or anchored before. */
async function assertSecretsFor(
  manifest: Manifest,
  values: SecretValues | undefined,
  anchored: () => Promise<Bytes32>,
): Promise<void> {
  if (values !== undefined) return assertValuesFor(manifest.secrets, values);
  if (manifest.secrets.length > 0 && (await anchored()) === zeroBytes32) assertValuesFor(manifest.secrets, {});
}

/** Allows the images that are not allowed yet; answers which. */
async function pinImages(
  { account, registry, network, images }: DeployComponents,
  app: Bytes32,
  { pinImages: wanted, signal }: DeployOptions,
): Promise<Bytes32[]> {
  const at = { address: network.contracts.appRegistry, abi: appRegistryAbi };
  const pinned: Bytes32[] = [];
  for (const image of wanted ?? (await images(signal))) {
    if (await registry.isImagePinned(app, image, undefined, signal)) continue;
    await account.write({ ...at, functionName: 'pinImage', args: [app, image] }, signal);
    pinned.push(image);
  }
  return pinned;
}

/** The salt of an app id by the app's name: one app for each name and owner. */
export function appSalt(name: string): Bytes32 {
  return toHex(keccak256(utf8(`cloister/app-name: v1:${name}`)));
}

export class DeployAppError extends CloisterError<'DEPLOY_FEATURE_UNAVAILABLE'> {
  override readonly name = 'DeployAppError';
  constructor(feature: string) {
    super({
      code: 'DEPLOY_FEATURE_UNAVAILABLE',
      message: `No worker of this release can honour ${feature}`,
      hint: 'Leave it out of the manifest',
    });
  }
}
