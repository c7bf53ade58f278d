import { type Address, type Bytes32, commitmentTo, type MeasurementPublication, publicationId } from '@cloister/core';

/** Whose measurements count, and whose do not. */
export type CountedPublications = {
  /** One of each member at most, in the members' order. */
  readonly counted: readonly MeasurementPublication[];
  /** Members that published two different ones, with the ids of the two smallest: nothing of theirs counts. */
  readonly equivocators: readonly { readonly member: Address; readonly ids: readonly [Bytes32, Bytes32] }[];
  /** Members whose commitment too few others had when they published. */
  readonly late: readonly Address[];
};

/**
 * What counts of all that was published for an epoch. A publication counts where its member made no other, and where a threshold of
 * those that made one had its commitment when they did so: whoever commits after it has seen others' vectors comes too late.
 * @param publications signatures checked, in any order; the same one again changes nothing, nor does one of somebody who is no member
 * @param members operators, in their order
 */
export function countedPublicationsOf(
  publications: readonly MeasurementPublication[],
  members: readonly Address[],
  threshold: number,
): CountedPublications {
  const byMember = new Map<Address, Map<Bytes32, MeasurementPublication>>(members.map((member) => [member, new Map()]));
  for (const one of publications) byMember.get(one.member)?.set(publicationId(one), one);
  const all = [...byMember];
  const equivocators = all.flatMap(([member, ofMember]) => {
    const [first, second] = [...ofMember.keys()].sort();
    return first === undefined || second === undefined ? [] : [{ member, ids: [first, second] as const }];
  });
  const single = all.flatMap(([, ofMember]) => (ofMember.size === 1 ? [...ofMember.values()] : []));
  const isWitnessed = ({ member, vectorId, salt }: MeasurementPublication) => {
    const commitment = commitmentTo(vectorId, salt);
    const isSeenBy = ({ seen }: MeasurementPublication) =>
      seen.some((one) => one.member === member && one.commitment === commitment);
    return single.filter(isSeenBy).length >= threshold;
  };
  const counted = single.filter(isWitnessed);
  return { counted, equivocators, late: single.filter((one) => !counted.includes(one)).map(({ member }) => member) };
}
