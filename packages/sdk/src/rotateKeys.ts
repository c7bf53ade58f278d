import { appRegistryAbi, type ChainAccount, type RegistryReader } from '@cloister/chain';
import {
  type Bytes32,
  CloisterError,
  enforcedFields,
  type Manifest,
  manifestBytes,
  manifestId,
  type NetworkFile,
} from '@cloister/core';
import type { Gateways } from './gateways.ts';
import { sealCode } from './sealedCode.ts';
import { anchorSecrets, assertValuesFor, type SecretValues, sealSecrets } from './secrets.ts';
import type { Storage } from './storage/storage.ts';

export type RotateKeysOptions = {
  /** A value for each secret that the manifest lists. */
  readonly values: SecretValues;
  /** The code, where it is sealed: it must be sealed to the new keys too, and what is stored opens with the old ones alone. */
  readonly code?: Uint8Array;
  readonly signal?: AbortSignal;
};

export type RotatedKeys = {
  readonly keyVersion: number;
  /** Undefined where no values were given. */
  readonly secretsId: Bytes32 | undefined;
  /** Of the version with the code sealed anew, and its new salt; undefined where no code is sealed. */
  readonly sealed: { readonly manifestId: Bytes32; readonly codeSalt: Bytes32 } | undefined;
};

export type RotateKeysComponents = {
  readonly account: ChainAccount;
  readonly registry: RegistryReader;
  readonly gateways: Gateways;
  readonly network: NetworkFile;
  readonly storage: Storage;
};

/**
 * Gives an app new keys: raises the key version, publishes its code and anchors its secrets sealed to it, then lets nobody have the older
 * keys any more. Interrupted, it can be made again. Throws SECRETS_MISSING, ROTATE_CODE_MISSING, ROTATE_CODE_NOT_SEALED.
 * @param manifest the one that serves now
 */
export async function rotateAppKeys(
  components: RotateKeysComponents,
  app: Bytes32,
  manifest: Manifest,
  { values, code, signal }: RotateKeysOptions,
): Promise<RotatedKeys> {
  const { account, registry, gateways, network, storage } = components;
  assertValuesFor(manifest.secrets, values);
  if (manifest.code.sealed === undefined && code !== undefined)
    throw new RotateKeysError('ROTATE_CODE_NOT_SEALED', app);
  if (manifest.code.sealed !== undefined && code === undefined) throw new RotateKeysError('ROTATE_CODE_MISSING', app);
  const { fields } = await registry.currentApp(app, undefined, signal);
  const keyVersion = fields.keyVersion + 1;
  // Everything that can fail by itself comes before the chain is changed.
  const sealed = code && (await sealCode({ network, app, keyVersion, name: manifest.name, code }));
  const sign = (digest: Bytes32) => account.signDigest(digest);
  const bundle =
    Object.keys(values).length === 0 ? undefined : await sealSecrets({ network, app, keyVersion, values, sign });

  const contract = { address: network.contracts.appRegistry, abi: appRegistryAbi };
  const raise = (minKeyVersion: number) =>
    account.write({ ...contract, functionName: 'raiseKeyVersions', args: [app, keyVersion, minKeyVersion] }, signal);
  await raise(fields.minKeyVersion);
  let published: RotatedKeys['sealed'];
  if (sealed !== undefined) {
    const next = { ...manifest, code: sealed.reference };
    const id = manifestId(next);
    const claims = storage.claimsFor({ app }, account, signal);
    await gateways.putBlob(sealed.blob, signal, claims);
    await gateways.putBlob(manifestBytes(next), signal, claims);
    const args = [app, id, enforcedFields(next, keyVersion, fields.minKeyVersion)] as const;
    await account.write({ ...contract, functionName: 'publish', args }, signal);
    published = { manifestId: id, codeSalt: sealed.salt };
  }
  const secretsId = bundle && (await anchorSecrets({ account, gateways, network, storage }, bundle, signal));
  await raise(keyVersion);
  return { keyVersion, secretsId, sealed: published };
}

export class RotateKeysError extends CloisterError<'ROTATE_CODE_MISSING' | 'ROTATE_CODE_NOT_SEALED'> {
  override readonly name = 'RotateKeysError';
  constructor(code: 'ROTATE_CODE_MISSING' | 'ROTATE_CODE_NOT_SEALED', app: Bytes32) {
    super(
      code === 'ROTATE_CODE_MISSING'
        ? {
            code,
            message: `The code of app "${app}" is sealed to the keys that are to end, and no code was given`,
            hint: 'Give its code too, to be sealed to the new keys',
          }
        : {
            code,
            message: `The code of app "${app}" is not sealed`,
            hint: 'Leave the code out; deploy publishes code',
          },
    );
  }
}
