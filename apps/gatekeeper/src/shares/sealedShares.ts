import type { RestSealing } from '@cloister/attestation/attest';
import { type Bytes32, CloisterError, schema as z } from '@cloister/core';
import { concatBytes, fromHex, SecretBytes, toHex } from '@cloister/crypto';
import { SealedFile } from '../sealedFile.ts';
import { sharePairFromBytes } from './sharePair.ts';
import type { HeldGeneration } from './shareStore.ts';

/** What an enclave seals to itself, so that a restart needs nobody else. */
export type EnclaveSecrets = {
  /** secp256k1, 32 bytes. */
  readonly signer: SecretBytes;
  /** X25519, 32 bytes. */
  readonly hpkeKey: SecretBytes;
  readonly generations: readonly HeldGeneration[];
};

const purpose = 'cloister/gatekeeper: v1';
/** Two keys and 16 generations of 32 members, with what sealing adds. */
const maxFileBytes = 512 * 1024;
const hex32 = z.hexOf(32);
const contents = z.strictObject({
  format: z.literal('cloister-gatekeeper-secrets-1'),
  signer: hex32,
  hpkeKey: hex32,
  generations: z
    .array(
      z.strictObject({
        number: z.uintString(64),
        digest: z.bytes32,
        publicShares: z.array(z.strictObject({ apps: z.hexOf(48), beacon: z.hexOf(48) })).check(z.refineArray(1, 32)),
        shares: z.nullable(z.strictObject({ apps: hex32, beacon: hex32 })),
      }),
    )
    .check(z.refineArray(0, 16)),
});

/** Writes the secrets, sealed by the device, in one step: the file of before or the new one, never half of it. */
export function sealSecrets(file: string, sealing: RestSealing, secrets: EnclaveSecrets): Promise<void> {
  return fileAt(file, sealing).write({
    format: 'cloister-gatekeeper-secrets-1',
    signer: toHex(secrets.signer.reveal()),
    hpkeKey: toHex(secrets.hpkeKey.reveal()),
    generations: secrets.generations.map(({ number, digest, publicShares, shares }) => ({
      number: number.toString(),
      digest,
      publicShares,
      shares:
        shares === undefined ? null : { apps: toHex(shares.apps.reveal()), beacon: toHex(shares.beacon.reveal()) },
    })),
  });
}

/**
 * What this enclave sealed before its restart; undefined where there is nothing. Throws SEALED_SHARES_UNREADABLE for a file of another
 * platform or image, or one that was changed: starting without it is safe, and needs a handover.
 */
export function openSecrets(file: string, sealing: RestSealing): Promise<EnclaveSecrets | undefined> {
  return fileAt(file, sealing).read(
    (json) => {
      const read = z.parseWith(contents, json, 'sealed shares');
      return {
        signer: new SecretBytes(fromHex(read.signer)),
        hpkeKey: new SecretBytes(fromHex(read.hpkeKey)),
        generations: read.generations.map(({ number, digest, publicShares, shares }) => ({
          number,
          digest: digest as Bytes32,
          publicShares,
          shares:
            shares === null ? undefined : sharePairFromBytes(concatBytes(fromHex(shares.apps), fromHex(shares.beacon))),
        })),
      };
    },
    (path, cause) => new SealedSharesError(path, cause),
  );
}

function fileAt(path: string, sealing: RestSealing): SealedFile {
  return new SealedFile(path, { sealing, purpose, maxBytes: maxFileBytes });
}

export class SealedSharesError extends CloisterError<'SEALED_SHARES_UNREADABLE'> {
  override readonly name = 'SealedSharesError';
  constructor(file: string, cause: unknown) {
    super({
      code: 'SEALED_SHARES_UNREADABLE',
      message: `What "${file}" holds does not open on this platform with this image`,
      hint: 'Move the file away; the member then gets new shares at the next handover',
      cause,
    });
  }
}
