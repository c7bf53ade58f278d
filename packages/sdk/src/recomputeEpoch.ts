import type { EpochFacts, PastGeneration, PostedRecord } from '@cloister/chain';
import {
  type Address,
  type Bytes32,
  differingRecordField,
  type EpochRecord,
  epochRecordDigest,
  type Hex,
  type MeasurementVector,
  measurementPublicationDigest,
  merkleRoot,
  publicationId,
  type RecordDomain,
  type SignedMeasurementPublication,
} from '@cloister/core';
import { fromHex, recoverAddress } from '@cloister/crypto';
import { differingLeaf, type EpochLeaf, type EpochLeaves, epochDataOf } from '@cloister/economics';

/** What a record is computed from anew. */
export type EpochEvidence = {
  readonly domain: RecordDomain;
  readonly facts: Omit<EpochFacts, 'generation'> & { readonly generation: PastGeneration };
  readonly beacon: Bytes32;
  /** Those that the record is said to rest on; signatures not yet checked. */
  readonly publications: readonly SignedMeasurementPublication[];
  readonly vectors: ReadonlyMap<Bytes32, MeasurementVector>;
};

/** A field of the posted record that does not follow. */
export type FalseField = {
  readonly field: string;
  readonly posted: string;
  readonly computed: string;
  /** The first leaf that differs, where somebody served leaves that make the posted root. */
  readonly leaf?: {
    /** Its place, from 0. */
    readonly index: number;
    /** Null where there is no such leaf. */
    readonly posted: EpochLeaf['says'] | null;
    readonly computed: EpochLeaf['says'] | null;
  };
};

/** The posted record, what it should be, and every field in which the two differ. */
export type RecomputedEpoch = {
  readonly record: EpochRecord;
  readonly computed: EpochRecord;
  readonly leaves: EpochLeaves;
  readonly differences: readonly FalseField[];
};

/**
 * Computes a record anew from the chain and from what members published, and compares every field.
 * @param served leaves as members serve them: believed where they make the posted root
 */
export function recomputeEpoch(
  posted: PostedRecord,
  evidence: EpochEvidence,
  served: Partial<Record<keyof EpochLeaves, readonly EpochLeaf[]>> = {},
): RecomputedEpoch {
  const { facts, beacon, domain, vectors } = evidence;
  const { generation, ...ofChain } = facts;
  const { members, threshold } = generation;
  const { record } = posted;
  const { record: computed, leaves } = epochDataOf({
    ...ofChain,
    beacon,
    // When it was made is its proposer's word; the contract bounds it.
    attempt: record.attempt,
    members: members.map(({ operator }) => operator),
    threshold,
    publications: evidence.publications.filter((publication) => isGenuine(publication, domain, members)),
    vectors,
  });
  const differences: FalseField[] = [];
  if (epochRecordDigest(domain, record) !== posted.digest)
    differences.push({ field: 'digest', posted: posted.digest, computed: epochRecordDigest(domain, record) });
  for (let rest = record; ; ) {
    const field = differingRecordField(computed, rest);
    if (field === undefined) return { record, computed, leaves, differences };
    differences.push({ field, ...valuesOf(field, record, computed), ...falseLeafOf(field, record, leaves, served) });
    rest = withFieldOf(field, rest, computed);
  }
}

/** The ids of publications, as a candidate's basis names them, found among all that members told. */
export function publicationsOfBasis(
  basis: readonly Bytes32[],
  told: readonly SignedMeasurementPublication[],
): readonly SignedMeasurementPublication[] {
  const byId = new Map(told.map((publication) => [publicationId(publication), publication]));
  return basis.flatMap((id) => byId.get(id) ?? []);
}

function isGenuine(
  publication: SignedMeasurementPublication,
  domain: RecordDomain,
  members: PastGeneration['members'],
): boolean {
  const member = members.find(({ operator }) => operator === publication.member);
  return (
    member !== undefined &&
    signerOf(measurementPublicationDigest(domain, publication), publication.signature) === member.signer
  );
}

/** Who signed; undefined for what is no signature. */
function signerOf(digest: Bytes32, signature: Hex): Address | undefined {
  try {
    return recoverAddress(fromHex(digest), fromHex(signature));
  } catch {
    return undefined;
  }
}

function valuesOf(field: string, posted: EpochRecord, computed: EpochRecord): { posted: string; computed: string } {
  const valueIn = (record: EpochRecord) =>
    field.startsWith('totals.')
      ? record.totals[field.slice('totals.'.length) as keyof EpochRecord['totals']]
      : record[field as Exclude<keyof EpochRecord, 'totals'>];
  return { posted: String(valueIn(posted)), computed: String(valueIn(computed)) };
}

function withFieldOf(field: string, record: EpochRecord, from: EpochRecord): EpochRecord {
  if (!field.startsWith('totals.')) return { ...record, [field]: from[field as keyof EpochRecord] };
  const name = field.slice('totals.'.length) as keyof EpochRecord['totals'];
  return { ...record, totals: { ...record.totals, [name]: from.totals[name] } };
}

function falseLeafOf(
  field: string,
  record: EpochRecord,
  leaves: EpochLeaves,
  served: Partial<Record<keyof EpochLeaves, readonly EpochLeaf[]>>,
): Pick<FalseField, 'leaf'> {
  const own = leaves[field as keyof EpochLeaves];
  const others = served[field as keyof EpochLeaves];
  if (own === undefined || others === undefined) return {};
  if (merkleRoot(others.map(({ leaf }) => leaf)) !== record[field as keyof EpochLeaves]) return {};
  const index = differingLeaf(others, own);
  if (index === undefined) return {};
  return { leaf: { index, posted: others[index]?.says ?? null, computed: own[index]?.says ?? null } };
}
