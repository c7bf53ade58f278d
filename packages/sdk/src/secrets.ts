import { appRegistryAbi, type ChainAccount } from '@cloister/chain';
import {
  type Bytes32,
  CloisterError,
  keyIdentityHash,
  maxSecretBytes,
  type NetworkFile,
  type SealedSecret,
  type SecretsBundle,
  sealedSecretDigest,
  secretsBundleBytes,
  secretsIdentity,
  timeIdentity,
} from '@cloister/core';
import { fromHex, toHex, utf8 } from '@cloister/crypto';
import { sealToIdentity } from '@cloister/threshold/seal';
import type { Gateways } from './gateways.ts';
import type { Storage } from './storage/storage.ts';

/** Secret values by the name under which the code sees them in `env`. */
export type SecretValues = Readonly<Record<string, string>>;

export type SealSecretsInit = {
  readonly network: NetworkFile;
  readonly app: Bytes32;
  readonly keyVersion: number;
  readonly values: SecretValues;
  /** Signs as the app's owner. */
  readonly sign: ChainAccount['signDigest'];
};

/**
 * Seals values to an app at a key version, which need not exist yet: what comes out opens with the committee's signature for this
 * identity alone. Throws SECRETS_NO_COMMITTEE, SECRETS_TOO_LARGE.
 */
export async function sealSecrets({ network, app, keyVersion, values, sign }: SealSecretsInit): Promise<SecretsBundle> {
  const publicKey = appsKeyOf(network);
  const domain = { chainId: network.chainId, registry: network.contracts.workerRegistry };
  const identity = fromHex(keyIdentityHash(domain, secretsIdentity(app, keyVersion)));
  const secrets: SealedSecret[] = [];
  for (const name of Object.keys(values).sort()) {
    const plain = utf8(values[name] ?? '');
    if (plain.length > maxSecretBytes)
      throw new SecretsError(
        'SECRETS_TOO_LARGE',
        `Secret "${name}" has ${plain.length} bytes, at most ${maxSecretBytes} are possible`,
      );
    const sealed = toHex(await sealToIdentity(publicKey, identity, utf8(name), plain));
    plain.fill(0);
    secrets.push({
      name,
      sealed,
      signature: await sign(sealedSecretDigest(domain, { app, name, keyVersion, sealed })),
    });
  }
  return { format: 'cloister-secrets-1', app, keyVersion, secrets };
}

/**
 * Seals bytes that an app's hosts, and nobody else, can open once a round has begun and is final: not before, whatever they do. Throws
 * SECRETS_NO_COMMITTEE.
 * @param aad stated again at opening
 */
export function sealToRound(
  network: NetworkFile,
  to: { readonly app: Bytes32; readonly keyVersion: number; readonly round: bigint },
  aad: Uint8Array,
  plaintext: Uint8Array,
): Promise<Uint8Array> {
  const domain = { chainId: network.chainId, registry: network.contracts.workerRegistry };
  const identity = keyIdentityHash(domain, timeIdentity(to.app, to.keyVersion, to.round));
  return sealToIdentity(appsKeyOf(network), fromHex(identity), aad, plaintext);
}

/** The key to which everything of apps is sealed. Throws SECRETS_NO_COMMITTEE. */
export function appsKeyOf({ networkKeys }: NetworkFile): Uint8Array {
  if (networkKeys !== null) return fromHex(networkKeys.apps);
  throw new SecretsError('SECRETS_NO_COMMITTEE', 'The network file names no keys: this network has no committee');
}

/** Stores a bundle with the gateways and anchors it on the chain, in place of what was set before; answers its id. */
export async function anchorSecrets(
  components: {
    readonly account: ChainAccount;
    readonly gateways: Gateways;
    readonly network: NetworkFile;
    readonly storage: Storage;
  },
  bundle: SecretsBundle,
  signal?: AbortSignal,
): Promise<Bytes32> {
  const { account, gateways, network, storage } = components;
  const claims = storage.claimsFor(bundle, account, signal);
  const bundleId = await gateways.putBlob(secretsBundleBytes(bundle), signal, claims);
  const contract = { address: network.contracts.appRegistry, abi: appRegistryAbi };
  await account.write({ ...contract, functionName: 'setSecrets', args: [bundle.app, bundleId] }, signal);
  return bundleId;
}

/** Throws SECRETS_MISSING for the first name that a manifest lists and that has no value. */
export function assertValuesFor(names: readonly string[], values: SecretValues): void {
  const missing = names.find((name) => !Object.hasOwn(values, name));
  if (missing !== undefined)
    throw new SecretsError('SECRETS_MISSING', `The manifest lists the secret "${missing}", and it has no value`);
}

export type SecretsErrorCode = 'SECRETS_NO_COMMITTEE' | 'SECRETS_TOO_LARGE' | 'SECRETS_MISSING';

export class SecretsError extends CloisterError<SecretsErrorCode> {
  override readonly name = 'SecretsError';
  constructor(code: SecretsErrorCode, message: string) {
    super({ code, message });
  }
}
