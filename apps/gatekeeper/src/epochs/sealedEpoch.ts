import { join } from 'node:path';
import type { RestSealing } from '@cloister/attestation/attest';
import {
  type Address,
  type Bytes32,
  CloisterError,
  type MeasurementVector,
  maxMeasurementVectorBytes,
  measurementMessageToJson,
  measurementVectorBytes,
  parseMeasurementPublication,
  parseMeasurementVector,
  type SignedMeasurementPublication,
  schema as z,
} from '@cloister/core';
import { fromUtf8, utf8 } from '@cloister/crypto';
import { SealedFile } from '../sealedFile.ts';

/** What a member has bound itself to in an epoch. */
export type KeptEpoch = {
  readonly vector: MeasurementVector;
  readonly salt: Bytes32;
  /** Undefined until it has published. */
  readonly publication: SignedMeasurementPublication | undefined;
};

export type EpochKeep = {
  /** Of before a restart. */
  readonly kept: KeptEpoch | undefined;
  /** Resolves once it is on the disk. Where the device can't seal, nothing is kept. */
  readonly keep: (epoch: KeptEpoch) => Promise<void>;
};

const purpose = 'cloister/gatekeeper-epoch: v1';
/** A vector as text within text, a publication, and what sealing adds. */
const maxFileBytes = 2 * maxMeasurementVectorBytes + 64 * 1024;
const contents = z.strictObject({
  format: z.literal('cloister-gatekeeper-epoch-1'),
  /** Of the member that it binds. */
  signer: z.address,
  vector: z.text(maxMeasurementVectorBytes),
  salt: z.bytes32,
  publication: z.nullable(z.jsonObject),
});

/**
 * What this member had committed to and published before a restart, where the device seals. Throws EPOCH_STATE_UNREADABLE for a file of
 * another platform, image or member, or one that was changed.
 *
 * The disk is the operator's. Who takes the file away has a member without measurements in that epoch; who puts an older one back may
 * bring it to publish twice, and then nothing of it counts: both harm that operator alone.
 */
export async function openEpochKeep(
  dataDir: string,
  sealing: RestSealing | undefined,
  signer: Address,
): Promise<EpochKeep> {
  if (sealing === undefined) return { kept: undefined, keep: async () => {} };
  const file = new SealedFile(join(dataDir, 'sealed-epoch.bin'), { sealing, purpose, maxBytes: maxFileBytes });
  return {
    kept: await readKept(file, signer),
    keep: ({ vector, salt, publication }) =>
      file.write({
        format: 'cloister-gatekeeper-epoch-1',
        signer,
        vector: fromUtf8(measurementVectorBytes(vector)),
        salt,
        publication: publication === undefined ? null : measurementMessageToJson(publication),
      }),
  };
}

function readKept(file: SealedFile, signer: Address): Promise<KeptEpoch | undefined> {
  return file.read(
    (json) => {
      const read = z.parseWith(contents, json, 'sealed epoch');
      // Another enclave's promises bind this one to nothing: it signs with another key.
      if (read.signer !== signer) throw new RangeError(`It is of ${read.signer}, this member is ${signer}`);
      return {
        vector: parseMeasurementVector(utf8(read.vector)),
        salt: read.salt,
        publication: read.publication === null ? undefined : parseMeasurementPublication(read.publication),
      };
    },
    (path, cause) => new SealedEpochError(path, cause),
  );
}

export class SealedEpochError extends CloisterError<'EPOCH_STATE_UNREADABLE'> {
  override readonly name = 'SealedEpochError';
  constructor(file: string, cause: unknown) {
    super({
      code: 'EPOCH_STATE_UNREADABLE',
      message: `What "${file}" holds is not what this member sealed about an epoch, on this platform with this image`,
      hint: 'Move the file away; the member then has no measurements in the epoch that has just ended',
      meta: { file },
      cause,
    });
  }
}
