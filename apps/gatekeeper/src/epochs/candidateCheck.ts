import type { EpochFacts, PastGeneration } from '@cloister/chain';
import {
  type Address,
  type Bytes32,
  differingRecordField,
  type EpochCandidate,
  type EpochRecord,
  epochProposerAt,
  type MeasurementPublication,
} from '@cloister/core';
import { keccak256 } from '@cloister/crypto/fast-keccak';
import { type EpochData, epochDataOf } from '@cloister/economics';
import type { EpochBook } from './epochBook.ts';

/** The facts of an epoch that ended under a committee, and its randomness. */
export type RecordableEpoch = Omit<EpochFacts, 'generation'> & {
  readonly generation: PastGeneration;
  readonly beacon: Bytes32;
};

/** Publications by their ids, signatures checked. */
export type Publications = ReadonlyMap<Bytes32, MeasurementPublication>;

/** The record that follows, for an attempt, from these publications. Throws EPOCH_VECTOR_MISSING. */
export function recordDataOf(
  epoch: RecordableEpoch,
  attempt: number,
  publications: readonly MeasurementPublication[],
  book: EpochBook,
): EpochData {
  const { generation, ...facts } = epoch;
  const inputs = {
    ...facts,
    attempt,
    members: generation.members.map(({ operator }) => operator),
    threshold: generation.threshold,
    publications,
    vectors: book.vectors,
  };
  return epochDataOf(inputs, keccak256);
}

/** Who proposes in an attempt: an operator. */
export function proposerOf({ generation, beacon }: RecordableEpoch, attempt: number): Address | undefined {
  const { members } = generation;
  return members[epochProposerAt(beacon, attempt, members.length)]?.operator;
}

/**
 * What a check of a candidate comes to: its data where it is as it should be, else what is wrong with it, and whether that may still
 * pass, as more is heard of what it rests on.
 */
export type Checked = { readonly data: EpochData } | { readonly objection: string; readonly mayPass: boolean };

/**
 * Whether a candidate follows from what it says that it rests on, and leaves nothing out that was long here.
 * @param known publications by id: the candidate rests on no others
 * @param heldLong since before which moment a publication must not be left out, by the book's clock
 */
export function checkCandidate(
  epoch: RecordableEpoch,
  { record, basis }: EpochCandidate,
  known: Publications,
  book: EpochBook,
  heldLong: number,
): Checked {
  if (new Set(basis).size !== basis.length) return { objection: 'it rests on one publication twice', mayPass: false };
  const publications = basis.flatMap((id) => known.get(id) ?? []);
  if (publications.length < basis.length)
    return { objection: 'it rests on a publication that is not known', mayPass: true };
  for (const { operator } of epoch.generation.members) {
    const [first, second] = book.publicationsOf(operator);
    const isLongHere = first !== undefined && first.sinceMs <= heldLong && book.isUsable(operator);
    // No honest member makes two: the second tells at once, however late it came.
    const needed = second !== undefined ? 2 : isLongHere ? 1 : 0;
    const used = publications.filter(({ member }) => member === operator).length;
    if (used < needed)
      return {
        objection:
          needed === 2
            ? `it keeps quiet about the second vector of "${operator}"`
            : `it leaves out the measurements of "${operator}"`,
        mayPass: false,
      };
  }
  const data = recordDataOf(epoch, record.attempt, publications, book);
  const field = differingRecordField(data.record, record);
  if (field === undefined) return { data };
  const [is, should] = [valueAt(record, field), valueAt(data.record, field)];
  return { objection: `its ${field} is "${is}", and should be "${should}"`, mayPass: false };
}

function valueAt(record: EpochRecord, field: string): string {
  const { totals, ...rest } = record;
  const flat: Readonly<Record<string, unknown>> = {
    ...rest,
    ...Object.fromEntries(Object.entries(totals).map(([name, value]) => [`totals.${name}`, value])),
  };
  return String(flat[field]);
}
