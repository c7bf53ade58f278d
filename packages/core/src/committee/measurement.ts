import { keccak256, sha256, toHex, utf8 } from '@cloister/crypto';
import { abiEncodeWords, tagHash } from '../abi.ts';
import { hashStruct, type RecordDomain, structType, typedDataDigest } from '../eip712.ts';
import { CloisterError } from '../errors.ts';
import type { Address, Bytes32, Hex } from '../hex.ts';
import { canonicalJson, jcsId, parseCanonicalJson } from '../jcs.ts';
import * as z from '../schema.ts';

/** What one member saw of one worker in an epoch. */
export type WorkerMeasurement = {
  readonly workerId: Bytes32;
  /** Questions put to it, 0 to 65,535. */
  readonly asked: number;
  /** Those that it answered as it should. */
  readonly answered: number;
  /** Median of the answered, in ms; 0 where none was. */
  readonly latencyMs: number;
  /** Units of work a second, uint64; 0 where it was not measured. */
  readonly work: bigint;
};

/** All that one member saw in an epoch. */
export type MeasurementVector = {
  readonly format: 'cloister-measurements-1';
  readonly epoch: bigint;
  /** The member's operator. */
  readonly member: Address;
  /** Head of its log of key releases as the epoch ended. */
  readonly releaseLogHead: Bytes32;
  /** Ascending by workerId, each once. */
  readonly workers: readonly WorkerMeasurement[];
};

/** Workers in one vector. */
export const maxMeasuredWorkers = 65_536;
/** Each worker takes at most 168 bytes of canonical JSON. */
export const maxMeasurementVectorBytes = 12 * 1024 * 1024;

const vectorJson = z.strictObject({
  format: z.literal('cloister-measurements-1'),
  epoch: z.uintString(64),
  member: z.address,
  releaseLogHead: z.bytes32,
  workers: z
    .array(
      z.strictObject({
        workerId: z.bytes32,
        asked: z.uint(0xffff),
        answered: z.uint(0xffff),
        latencyMs: z.uint(0xffff_ffff),
        work: z.uintString(64),
      }),
    )
    .check(z.refineArray(0, maxMeasuredWorkers)),
});

/** The bytes that are published: canonical JSON (RFC 8785), integers beyond 2^53 as decimal strings. Throws MEASUREMENT_INVALID. */
export function measurementVectorBytes(vector: MeasurementVector): Uint8Array {
  assertVector(vector);
  return utf8(canonicalJson(vectorToJson(vector)));
}

/** sha256 of those bytes. */
export function measurementVectorId(vector: MeasurementVector): Bytes32 {
  return jcsId(vectorToJson(vector));
}

/** Reads published bytes. Throws SchemaError, JsonError, MEASUREMENT_INVALID. */
export function parseMeasurementVector(bytes: Uint8Array): MeasurementVector {
  const json = parseCanonicalJson(bytes, maxMeasurementVectorBytes, 'measurement vector');
  const vector = z.parseWith(vectorJson, json, 'measurement vector') as MeasurementVector;
  assertVector(vector);
  return vector;
}

/** Reads the bytes that a publication names. Throws as {@link parseMeasurementVector}, and MEASUREMENT_INVALID for others than those. */
export function parsePublishedVector(bytes: Uint8Array, publication: MeasurementPublication): MeasurementVector {
  const vector = parseMeasurementVector(bytes);
  const { epoch, member, vectorId } = publication;
  if (toHex(sha256(bytes)) !== vectorId || vector.epoch !== epoch || vector.member !== member)
    throw new MeasurementError(member, `it is not what its member published as "${vectorId}"`);
  return vector;
}

function vectorToJson(vector: MeasurementVector): z.Json {
  return {
    ...vector,
    epoch: vector.epoch.toString(),
    workers: vector.workers.map((worker) => ({ ...worker, work: worker.work.toString() })),
  };
}

function assertVector({ workers }: MeasurementVector): void {
  let last = '';
  for (const { workerId, asked, answered, latencyMs, work } of workers) {
    if (workerId <= last) throw new MeasurementError(workerId, 'it does not stand behind the one before');
    if (answered > asked) throw new MeasurementError(workerId, `it answered "${answered}" of "${asked}" questions`);
    if (answered === 0 && (latencyMs !== 0 || work !== 0n))
      throw new MeasurementError(workerId, 'it answered nothing, and yet there is something to say of it');
    last = workerId;
  }
}

/** By what a member is bound to its vector before it has seen anybody else's. */
export type MeasurementCommitment = {
  readonly epoch: bigint;
  readonly member: Address;
  /** {@link commitmentTo} a vector. */
  readonly commitment: Bytes32;
};
export type SignedMeasurementCommitment = MeasurementCommitment & { readonly signature: Hex };

/** H("cloister/measurements: v1", vectorId, salt): says nothing of the vector to who does not know the salt. */
export function commitmentTo(vectorId: Bytes32, salt: Bytes32): Bytes32 {
  return tagHash('cloister/measurements: v1', vectorId, salt);
}

const commitmentType = structType('MeasurementCommitment(uint64 epoch,address member,bytes32 commitment)');

/** The EIP-712 digest that the member's signer signs. */
export function measurementCommitmentDigest(
  domain: RecordDomain,
  { epoch, member, commitment }: MeasurementCommitment,
): Bytes32 {
  return typedDataDigest(domain, hashStruct(commitmentType, epoch, member, commitment));
}

/**
 * A member's vector, made public: which it is, what opens the commitment to it, and the commitments of all members, its own among
 * them, that it had when it published. So everybody sees from what is published alone who committed in time.
 */
export type MeasurementPublication = {
  readonly epoch: bigint;
  readonly member: Address;
  readonly vectorId: Bytes32;
  readonly salt: Bytes32;
  /** Ascending by member, each once. */
  readonly seen: readonly { readonly member: Address; readonly commitment: Bytes32 }[];
};
export type SignedMeasurementPublication = MeasurementPublication & { readonly signature: Hex };

/** Members of a committee at most. */
export const maxCommitteeMembers = 32;

const publicationType = structType(
  'MeasurementPublication(uint64 epoch,address member,bytes32 vectorId,bytes32 salt,bytes32 seenHash)',
);

/** keccak256 of member and commitment of each, as ABI words one behind the other. */
export function seenHash(seen: MeasurementPublication['seen']): Bytes32 {
  return toHex(keccak256(abiEncodeWords(...seen.flatMap(({ member, commitment }) => [member, commitment]))));
}

/** The EIP-712 digest that the member's signer signs. */
export function measurementPublicationDigest(domain: RecordDomain, publication: MeasurementPublication): Bytes32 {
  const { epoch, member, vectorId, salt, seen } = publication;
  return typedDataDigest(domain, hashStruct(publicationType, epoch, member, vectorId, salt, seenHash(seen)));
}

const commitmentJson = z.strictObject({
  epoch: z.uintString(64),
  member: z.address,
  commitment: z.bytes32,
  signature: z.hexOf(65),
});
const publicationJson = z.strictObject({
  epoch: z.uintString(64),
  member: z.address,
  vectorId: z.bytes32,
  salt: z.bytes32,
  seen: z
    .array(z.strictObject({ member: z.address, commitment: z.bytes32 }))
    .check(z.refineArray(0, maxCommitteeMembers)),
  signature: z.hexOf(65),
});

/** Reads a signed commitment; whose it is, is for who checks its signature. Throws SchemaError. */
export function parseMeasurementCommitment(json: unknown): SignedMeasurementCommitment {
  return z.parseWith(commitmentJson, json, 'measurement commitment') as SignedMeasurementCommitment;
}

/** Reads a signed publication. Throws SchemaError, MEASUREMENT_INVALID. */
export function parseMeasurementPublication(json: unknown): SignedMeasurementPublication {
  const publication = z.parseWith(publicationJson, json, 'measurement publication') as SignedMeasurementPublication;
  publication.seen.forEach(({ member }, index) => {
    if (index > 0 && member <= (publication.seen[index - 1]?.member ?? ''))
      throw new MeasurementError(member, 'its commitment does not stand behind the one before');
  });
  return publication;
}

/** A signed commitment or publication as JSON has it. */
export function measurementMessageToJson<T extends SignedMeasurementCommitment | SignedMeasurementPublication>(
  message: T,
): Omit<T, 'epoch'> & { readonly epoch: string } {
  return { ...message, epoch: message.epoch.toString() };
}

/** What a publication is named by where it is counted: keccak256(abi.encode(epoch, member, vectorId, salt, seenHash)). */
export function publicationId({ epoch, member, vectorId, salt, seen }: MeasurementPublication): Bytes32 {
  return toHex(keccak256(abiEncodeWords(epoch, member, vectorId, salt, seenHash(seen))));
}

export class MeasurementError extends CloisterError<'MEASUREMENT_INVALID'> {
  override readonly name = 'MeasurementError';
  constructor(of: string, problem: string) {
    super({ code: 'MEASUREMENT_INVALID', message: `Measurement of "${of}": ${problem}`, meta: { of } });
  }
}
