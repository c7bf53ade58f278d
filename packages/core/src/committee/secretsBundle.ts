import { fromHex, keccak256, recoverAddress, toHex, utf8 } from '@cloister/crypto';
import { hashStruct, type RecordDomain, structType, typedDataDigest } from '../eip712.ts';
import { CloisterError } from '../errors.ts';
import type { Address, Bytes32, Hex } from '../hex.ts';
import { canonicalJson, jcsId, parseCanonicalJson } from '../jcs.ts';
import { envName } from '../manifest.ts';
import * as z from '../schema.ts';

/** One value that only an app's hosts can open. */
export type SealedSecret = {
  readonly name: string;
  /** Sealed to the app's identity of class secrets, with the name as associated data. */
  readonly sealed: Hex;
  /** By the account that anchors the bundle, over {@link sealedSecretDigest}. */
  readonly signature: Hex;
};

/** An app's secrets at one key version, as they lie in blob storage and as `AppRegistry` anchors them by their id. */
export type SecretsBundle = {
  readonly format: 'cloister-secrets-1';
  readonly app: Bytes32;
  readonly keyVersion: number;
  /** Sorted by name, each name once. */
  readonly secrets: readonly SealedSecret[];
};

/** Longest value of one secret, in bytes. */
export const maxSecretBytes = 16 * 1024;
export const maxSecretsBundleBytes = 3 * 1024 * 1024;
const maxSecrets = 64;
/** U ‖ V ‖ tag of the sealed form; a value of no bytes has no more than that. */
const sealedOverhead = 96;

const bundleJson = z.strictObject({
  format: z.literal('cloister-secrets-1'),
  app: z.bytes32,
  keyVersion: z.intBetween(1, 0xffff_ffff),
  secrets: z
    .array(
      z.strictObject({
        name: z.pattern(envName),
        sealed: z.hexBetween(sealedOverhead, sealedOverhead + maxSecretBytes),
        signature: z.hexOf(65),
      }),
    )
    .check(z.refineArray(0, maxSecrets)),
});

const secretType = structType('SealedSecret(bytes32 app,string name,uint32 keyVersion,bytes32 ciphertextHash)');

/** The EIP-712 digest by which an app's owner vouches for one sealed value: under this name, of this app, at this key version. */
export function sealedSecretDigest(
  domain: RecordDomain,
  secret: { readonly app: Bytes32; readonly name: string; readonly keyVersion: number; readonly sealed: Hex },
): Bytes32 {
  const { app, name, keyVersion, sealed } = secret;
  return typedDataDigest(
    domain,
    hashStruct(secretType, app, toHex(keccak256(utf8(name))), keyVersion, toHex(keccak256(fromHex(sealed)))),
  );
}

/** sha256 of the bundle's canonical JSON: what `AppRegistry.setSecrets` anchors. */
export function secretsBundleId(bundle: SecretsBundle): Bytes32 {
  return jcsId(bundle);
}

/** The bytes that are stored under the bundle's id. */
export function secretsBundleBytes(bundle: SecretsBundle): Uint8Array {
  return utf8(canonicalJson(bundle));
}

/** Reads stored bytes: canonical form, names sorted and each once. Throws SchemaError, JsonError, SECRETS_UNORDERED. */
export function parseSecretsBundle(bytes: Uint8Array): SecretsBundle {
  const json = parseCanonicalJson(bytes, maxSecretsBundleBytes, 'secrets bundle');
  const bundle = z.parseWith(bundleJson, json, 'secrets bundle') as SecretsBundle;
  bundle.secrets.forEach(({ name }, index) => {
    const before = bundle.secrets[index - 1]?.name;
    if (before !== undefined && before >= name)
      throw new SecretsBundleError('SECRETS_UNORDERED', `Secret "${name}" stands behind "${before}"`);
  });
  return bundle;
}

/**
 * Whether a bundle is this app's, sealed for a key version that is still released, complete for the manifest, and vouched for by who
 * anchored it. Throws SECRETS_OTHER_APP, SECRETS_VERSION_OUTSIDE, SECRETS_INCOMPLETE, SECRETS_SIGNATURE_INVALID.
 * @param names the secrets that the serving manifest lists; more than these may stand in the bundle
 * @param setBy who anchored it, as `AppRegistry` says
 */
export function assertSecretsBundle(
  domain: RecordDomain,
  bundle: SecretsBundle,
  expected: {
    readonly app: Bytes32;
    readonly keyVersion: number;
    readonly minKeyVersion: number;
    readonly names: readonly string[];
    readonly setBy: Address;
  },
): void {
  const { app, keyVersion } = bundle;
  if (app !== expected.app)
    throw new SecretsBundleError(
      'SECRETS_OTHER_APP',
      `The secrets are those of app "${app}", not of "${expected.app}"`,
    );
  if (keyVersion < expected.minKeyVersion || keyVersion > expected.keyVersion)
    throw new SecretsBundleError(
      'SECRETS_VERSION_OUTSIDE',
      `The secrets are sealed for key version "${keyVersion}"; "${expected.minKeyVersion}" to "${expected.keyVersion}" are in use`,
    );
  const missing = expected.names.find((name) => !bundle.secrets.some((secret) => secret.name === name));
  if (missing !== undefined)
    throw new SecretsBundleError(
      'SECRETS_INCOMPLETE',
      `The anchored secrets lack "${missing}", which the manifest lists`,
    );
  for (const { name, sealed, signature } of bundle.secrets)
    if (signerOf(sealedSecretDigest(domain, { app, name, keyVersion, sealed }), signature) !== expected.setBy)
      throw new SecretsBundleError(
        'SECRETS_SIGNATURE_INVALID',
        `Secret "${name}" is not signed by "${expected.setBy}", who anchored the bundle`,
      );
}

function signerOf(digest: Bytes32, signature: Hex): Address | undefined {
  try {
    return recoverAddress(fromHex(digest), fromHex(signature));
  } catch {
    return undefined;
  }
}

export type SecretsBundleErrorCode =
  | 'SECRETS_UNORDERED'
  | 'SECRETS_OTHER_APP'
  | 'SECRETS_VERSION_OUTSIDE'
  | 'SECRETS_INCOMPLETE'
  | 'SECRETS_SIGNATURE_INVALID';

export class SecretsBundleError extends CloisterError<SecretsBundleErrorCode> {
  override readonly name = 'SecretsBundleError';
  constructor(code: SecretsBundleErrorCode, message: string) {
    super({ code, message, hint: 'Its owner can set the secrets anew: cloister secrets set' });
  }
}
