import {
  type Bytes32,
  type CodeReference,
  keyIdentityHash,
  type NetworkFile,
  packCode,
  sealedCodeAad,
  sealedCodeDigest,
  secretsIdentity,
} from '@cloister/core';
import { fromHex, sha256, toHex } from '@cloister/crypto';
import { sealToIdentity } from '@cloister/threshold/seal';
import { appsKeyOf } from './secrets.ts';

export type SealCodeInit = {
  readonly network: NetworkFile;
  readonly app: Bytes32;
  readonly keyVersion: number;
  /** As the manifest has it. */
  readonly name: string;
  readonly code: Uint8Array;
};

export type SealedCode = {
  /** What the manifest says of it. */
  readonly reference: CodeReference;
  /** The bytes to store. */
  readonly blob: Uint8Array;
  /** Whoever has it can check a source against the manifest. */
  readonly salt: Bytes32;
};

/**
 * Seals code to an app at a key version, so that its hosts alone can read it: none needs to exist yet. Throws SECRETS_NO_COMMITTEE,
 * CODE_TOO_LARGE_TO_SEAL.
 */
export async function sealCode({ network, app, keyVersion, name, code }: SealCodeInit): Promise<SealedCode> {
  const publicKey = appsKeyOf(network);
  const domain = { chainId: network.chainId, registry: network.contracts.workerRegistry };
  const identity = fromHex(keyIdentityHash(domain, secretsIdentity(app, keyVersion)));
  const { salt, packed } = packCode(code);
  const blob = await sealToIdentity(publicKey, identity, sealedCodeAad(name), packed);
  packed.fill(0);
  const digest = sealedCodeDigest(salt, toHex(sha256(code)));
  return {
    reference: { sha256: toHex(sha256(blob)), bytes: blob.length, sealed: { digest, keyVersion } },
    blob,
    salt,
  };
}
