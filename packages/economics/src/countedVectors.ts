import {
  type Address,
  type Bytes32,
  commitmentTo,
  type MeasurementPublication,
  type MeasurementVector,
  publicationId,
} from '@cloister/core';

/** A publication, its signature checked, and the vector that it names. */
export type PublishedVector = { readonly publication: MeasurementPublication; readonly vector: MeasurementVector };

/** Whose measurements count, and whose do not. */
export type CountedVectors = {
  /** One of each member at most, in the members' order. */
  readonly counted: readonly PublishedVector[];
  /** Members that published two different ones, with the ids of the two smallest: nothing of theirs counts. */
  readonly equivocators: readonly { readonly member: Address; readonly ids: readonly [Bytes32, Bytes32] }[];
  /** Members whose commitment too few others had when they published. */
  readonly late: readonly Address[];
};

/**
 * What counts of all that was published for an epoch. A vector counts where its member published no other, and where a threshold of
 * those that published once had its commitment when they did so: whoever commits after it has seen others' vectors comes too late.
 * @param published in any order; the same one again changes nothing, nor does one of somebody who is no member
 * @param members operators, in their order
 */
export function countedVectorsOf(
  published: readonly PublishedVector[],
  members: readonly Address[],
  threshold: number,
): CountedVectors {
  const byMember = new Map<Address, Map<Bytes32, PublishedVector>>(members.map((member) => [member, new Map()]));
  for (const one of published) byMember.get(one.publication.member)?.set(publicationId(one.publication), one);
  const all = [...byMember];
  const equivocators = all.flatMap(([member, ofMember]) => {
    const [first, second] = [...ofMember.keys()].sort();
    return first === undefined || second === undefined ? [] : [{ member, ids: [first, second] as const }];
  });
  const single = all.flatMap(([, ofMember]) => (ofMember.size === 1 ? [...ofMember.values()] : []));
  const isWitnessed = ({ publication: { member, vectorId, salt } }: PublishedVector) => {
    const commitment = commitmentTo(vectorId, salt);
    const witnesses = single.filter(({ publication }) =>
      publication.seen.some((seen) => seen.member === member && seen.commitment === commitment),
    );
    return witnesses.length >= threshold;
  };
  const counted = single.filter(isWitnessed);
  return {
    counted,
    equivocators,
    late: single.filter((one) => !counted.includes(one)).map(({ publication }) => publication.member),
  };
}
