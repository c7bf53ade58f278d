import { appRegistryAbi, type ChainAccount, type RegistryReader } from '@cloister/chain';
import {
  type Address,
  appId,
  type Bytes32,
  CloisterError,
  enforcedFields,
  functionManifest,
  type Manifest,
  manifestBytes,
  manifestId,
  type NetworkFile,
  unavailableFeature,
  zeroAddress,
} from '@cloister/core';
import { keccak256, sha256, toHex, utf8 } from '@cloister/crypto';
import type { Gateways } from './gateways.ts';

export type DeployOptions = {
  /** One ES module: what `bundleFunction` of @cloister/build makes of a file. */
  readonly code: Uint8Array;
  /** The app's name: with the account it decides the app's id, so deploying it again publishes a new version. */
  readonly name: string;
  /** Anything in the manifest that is not to be at its default. */
  readonly manifest?: Partial<Omit<Manifest, 'format' | 'kind' | 'name' | 'code' | 'limits'>> & {
    readonly limits?: Partial<Manifest['limits']>;
  };
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
};

export type DeployComponents = {
  readonly account: ChainAccount;
  readonly registry: RegistryReader;
  readonly gateways: Gateways;
  readonly network: NetworkFile;
};

/** Deploys a function. Throws DEPLOY_FEATURE_UNAVAILABLE before anything is stored or sent. */
export async function deployApp(components: DeployComponents, options: DeployOptions): Promise<DeployedApp> {
  const { account, registry, gateways, network } = components;
  const { code, name, signal } = options;
  const manifest = functionManifest({
    ...options.manifest,
    name,
    code: { sha256: toHex(sha256(code)), bytes: code.length },
  });
  const unavailable = unavailableFeature(manifest);
  if (unavailable !== undefined) throw new DeployAppError(unavailable);

  const salt = appSalt(name);
  const app = appId(account.address, salt);
  const id = manifestId(manifest);
  await gateways.putBlob(code, signal);
  await gateways.putBlob(manifestBytes(manifest), signal);

  const at = { address: network.contracts.appRegistry, abi: appRegistryAbi };
  const owner = await registry.appOwner(app, signal);
  let published = false;
  if (owner === zeroAddress) {
    await account.write({ ...at, functionName: 'create', args: [salt, id, enforcedFields(manifest)] }, signal);
    published = true;
  } else {
    const serving = await registry.currentApp(app, undefined, signal);
    if (serving.manifestId !== id) {
      const { keyVersion, minKeyVersion } = serving.fields;
      await account.write(
        { ...at, functionName: 'publish', args: [app, id, enforcedFields(manifest, keyVersion, minKeyVersion)] },
        signal,
      );
      published = true;
    }
  }
  const version = await registry.view.read({ ...at, functionName: 'versionCount', args: [app] }, signal);
  const info = await registry.view.read({ ...at, functionName: 'versionOf', args: [app, version] }, signal);
  return { app, owner: account.address, manifestId: id, manifest, version, effectiveAt: info.effectiveAt, published };
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
