import { readFile } from 'node:fs/promises';
import type { RestSealing } from '@cloister/attestation/attest';
import { type Bytes32, CloisterError, schema as z } from '@cloister/core';
import { concatBytes, fromHex, fromUtf8, SecretBytes, toHex, utf8 } from '@cloister/crypto';
import { writeFileAtomic } from '@cloister/service';
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
export async function sealSecrets(file: string, sealing: RestSealing, secrets: EnclaveSecrets): Promise<void> {
  const text = utf8(
    JSON.stringify({
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
    }),
  );
  const sealed = await sealing.seal(purpose, text);
  text.fill(0);
  await writeFileAtomic(file, sealed, { mode: 0o600 });
}

/**
 * What this enclave sealed before its restart; undefined where there is nothing. Throws SEALED_SHARES_UNREADABLE for a file of another
 * platform or image, or one that was changed: starting without it is safe, and needs a handover.
 */
export async function openSecrets(file: string, sealing: RestSealing): Promise<EnclaveSecrets | undefined> {
  const sealed = await readFile(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (sealed === undefined) return undefined;
  try {
    const text = await sealing.open(purpose, sealed);
    const read = z.parseWith(contents, JSON.parse(fromUtf8(text)), 'sealed shares');
    text.fill(0);
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
  } catch (cause) {
    throw new SealedSharesError(file, cause);
  }
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
