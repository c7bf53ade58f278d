import {
  AppTimelockReader,
  type AppTimelockStatus,
  appRegistryAbi,
  appTimelockAbi,
  type ChainAccount,
} from '@cloister/chain';
import {
  type Address,
  appId,
  type Bytes32,
  CloisterError,
  enforcedFields,
  type Hex,
  type Manifest,
  manifestBytes,
  manifestId,
  zeroAddress,
} from '@cloister/core';
import { encodeFunctionData } from 'viem';
import { appSalt, type DeployComponents, type DeployOptions, statedManifest } from './deploy.ts';
import { sealCode } from './sealedCode.ts';

/** A transaction that whoever decides for an app's owner has to send. */
export type OwnerCall = { readonly to: Address; readonly value: bigint; readonly data: Hex };

export type DeployForOptions = Omit<DeployOptions, 'secrets' | 'storageEpochs'> & {
  /** The contract that owns the app, or will: a timelock for apps, a Safe, any other. */
  readonly owner: Address;
};

/** A version that is stored, and what makes it the app's. */
export type PlannedDeployment = {
  readonly app: Bytes32;
  readonly owner: Address;
  readonly manifestId: Bytes32;
  readonly manifest: Manifest;
  /** Set where the owner is a timelock: then its own owner sends the calls, else the app's owner itself. */
  readonly timelock: AppTimelockStatus | undefined;
  /** Who has to send them. */
  readonly sender: Address;
  /** In this order. None where this very manifest serves already and every image is allowed. */
  readonly calls: readonly OwnerCall[];
  readonly codeSalt: Bytes32 | undefined;
};

/**
 * Stores a version of an app that a contract owns, and answers the calls by which it becomes the app's: for a timelock of the known factory
 * its announcement, or at first its creation; for any other contract the registry's own calls. Sends nothing. Throws
 * DEPLOY_OWNER_CANNOT_SIGN, and as {@link deployApp}.
 */
export async function planDeployment(
  components: Omit<DeployComponents, 'account' | 'storage'>,
  options: DeployForOptions,
): Promise<PlannedDeployment> {
  const { registry, network, gateways, images } = components;
  const { code, name, owner, signal } = options;
  const stated = statedManifest(options);
  if (stated.secrets.length > 0) throw new DeployOwnerCannotSignError(owner, stated.secrets);
  const salt = appSalt(name);
  const app = appId(owner, salt);
  const [timelock, present] = await Promise.all([
    new AppTimelockReader(registry.view).statusOf(owner, signal),
    registry.appOwner(app, signal),
  ]);
  const serving = present === zeroAddress ? undefined : await registry.currentApp(app, undefined, signal);
  const { keyVersion, minKeyVersion } = serving?.fields ?? { keyVersion: 1, minKeyVersion: 1 };
  const sealed = options.sealCode ? await sealCode({ network, app, keyVersion, name, code }) : undefined;
  const manifest = sealed === undefined ? stated : { ...stated, code: sealed.reference };
  const id = manifestId(manifest);
  // In no account's name: who pays for storage names the app by itself ("cloister storage").
  for (const blob of [sealed?.blob ?? code, manifestBytes(manifest)]) await gateways.putBlob(blob, signal);

  const fields = enforcedFields(manifest, keyVersion, minKeyVersion);
  const wanted = manifest.imagePolicy === 'network' ? [] : (options.pinImages ?? (await images(signal)));
  const pinned: Bytes32[] = [];
  for (const image of wanted) if (!(await registry.isImagePinned(app, image, undefined, signal))) pinned.push(image);
  const to = network.contracts.appRegistry;
  const pinning = pinned.map((image) =>
    encodeFunctionData({ abi: appRegistryAbi, functionName: 'pinImage', args: [app, image] }),
  );
  const publishing =
    serving?.manifestId === id
      ? []
      : [encodeFunctionData({ abi: appRegistryAbi, functionName: 'publish', args: [app, id, fields] })];
  const creating = encodeFunctionData({ abi: appRegistryAbi, functionName: 'create', args: [salt, id, fields] });
  const call = (target: Address, data: Hex): OwnerCall => ({ to: target, value: 0n, data });
  const ofTimelock = () =>
    serving === undefined
      ? [encodeFunctionData({ abi: appTimelockAbi, functionName: 'create', args: [salt, id, fields, pinned] })]
      : [...publishing, ...pinning].map((data) =>
          encodeFunctionData({ abi: appTimelockAbi, functionName: 'announce', args: [true, data] }),
        );
  const calls =
    timelock === undefined
      ? [...(serving === undefined ? [creating] : publishing), ...pinning].map((data) => call(to, data))
      : ofTimelock().map((data) => call(owner, data));
  const sender = timelock?.owner ?? owner;
  return { app, owner, manifestId: id, manifest, timelock, sender, calls, codeSalt: sealed?.salt };
}

/** Sends the calls of a plan. Throws DEPLOY_OWNER_IS_ANOTHER before anything is sent. */
export async function sendPlan(account: ChainAccount, plan: PlannedDeployment, signal?: AbortSignal): Promise<void> {
  if (plan.sender !== account.address) throw new DeployOwnerError(account.address, plan);
  for (const { to, data } of plan.calls) await account.send(to, data, 'The call of a deployment', signal);
}

export class DeployOwnerError extends CloisterError<'DEPLOY_OWNER_IS_ANOTHER'> {
  override readonly name = 'DeployOwnerError';
  constructor(account: Address, { owner, sender, timelock }: PlannedDeployment) {
    super({
      code: 'DEPLOY_OWNER_IS_ANOTHER',
      message:
        timelock === undefined
          ? `App owner "${owner}" is no timelock of the known factory, and "${account}" can't send for it`
          : `Timelock "${owner}" is owned by "${sender}", not by "${account}"`,
      hint: 'Have its owner send the calls: "cloister deploy --owner ADDRESS --calldata" prints them',
    });
  }
}

export class DeployOwnerCannotSignError extends CloisterError<'DEPLOY_OWNER_CANNOT_SIGN'> {
  override readonly name = 'DeployOwnerCannotSignError';
  constructor(owner: Address, secrets: readonly string[]) {
    super({
      code: 'DEPLOY_OWNER_CANNOT_SIGN',
      message: `The secrets "${secrets.join('", "')}" need the signature of the app's owner, and "${owner}" is a contract`,
      hint: 'Keep apps with secrets in an account, or leave the secrets out',
    });
  }
}
