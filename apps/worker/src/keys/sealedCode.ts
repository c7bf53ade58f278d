import {
  CloisterError,
  isCodeOf,
  keyIdentityHash,
  type Manifest,
  type RecordDomain,
  sealedCodeAad,
  secretsIdentity,
  unpackCode,
} from '@cloister/core';
import { fromHex } from '@cloister/crypto';
import { openSealed } from '@cloister/threshold/seal';
import { AppRefusedError } from '../appRefusedError.ts';
import type { AppVersion, KeySignature } from './appVersion.ts';

export type SealedCodeComponents = {
  readonly domain: RecordDomain;
  readonly signature: KeySignature;
};

export type SealedVersion = AppVersion & { readonly manifest: Pick<Manifest, 'name' | 'code'> };

/**
 * Whether a version's code is sealed to keys that are still released. Throws APP_CODE_VERSION_OUTSIDE; code that is not sealed passes.
 */
export function assertCodeVersion({ manifest, fields }: SealedVersion): void {
  const keyVersion = manifest.code.sealed?.keyVersion;
  if (keyVersion === undefined || (keyVersion >= fields.minKeyVersion && keyVersion <= fields.keyVersion)) return;
  throw new AppRefusedError(
    'APP_CODE_VERSION_OUTSIDE',
    `The code is sealed for key version "${keyVersion}"; "${fields.minKeyVersion}" to "${fields.keyVersion}" are in use`,
  );
}

/**
 * Opens a version's stored code by the committee's key, and checks that it is what the manifest says. Throws APP_CODE_VERSION_OUTSIDE before
 * any key is asked for, APP_CODE_SEAL_INVALID for what was changed, cut or sealed to something else, APP_CODE_MISMATCH for other code than
 * was promised, KeyClientError.
 * @param stored the bytes that the manifest names, their hash checked
 */
export async function openSealedCode(
  { domain, signature }: SealedCodeComponents,
  version: SealedVersion,
  stored: Uint8Array,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const { app, manifestId, manifest } = version;
  const { sealed } = manifest.code;
  if (sealed === undefined) throw invalid(undefined, 'The manifest names no sealed code');
  assertCodeVersion(version);
  const identity = secretsIdentity(app, sealed.keyVersion);
  const key = await signature({ ...identity, manifest: manifestId }, signal);
  let packed: Uint8Array;
  try {
    const hash = fromHex(keyIdentityHash(domain, identity));
    packed = await openSealed(key, hash, sealedCodeAad(manifest.name), stored);
  } catch (cause) {
    throw invalid(cause, 'The sealed code does not open');
  } finally {
    key.wipe();
  }
  try {
    const { salt, code } = unpackCode(packed);
    if (!isCodeOf(manifest.code, code, salt))
      throw new AppRefusedError('APP_CODE_MISMATCH', 'What was sealed is not the code that the manifest promises');
    return code;
  } catch (cause) {
    throw cause instanceof AppRefusedError ? cause : invalid(cause, 'The sealed code can not be read');
  } finally {
    packed.fill(0);
  }
}

/** No text of a cause that may have seen code: only what our own errors say. */
function invalid(cause: unknown, what: string): AppRefusedError {
  const why = cause instanceof CloisterError ? `: ${cause.message}` : '';
  return new AppRefusedError('APP_CODE_SEAL_INVALID', `${what}${why}`, cause);
}
