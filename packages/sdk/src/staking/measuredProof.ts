import type { PostedRecord } from '@cloister/chain';
import { type Bytes32, merkleProof, merkleTree, SchemaError, schema as z } from '@cloister/core';
import { type EpochLeaf, type MeasuredWorker, measuredLeaf } from '@cloister/economics';

/** What a record says of a worker, and the proof that it does. */
export type MeasuredProof = {
  readonly record: PostedRecord['record'];
  readonly measured: MeasuredWorker;
  readonly proof: readonly Bytes32[];
};

const measuredJson = z.strictObject({
  workerId: z.bytes32,
  measuredBy: z.uint(0xffff_ffff),
  availability: z.uint(1_000_000),
  latencyMs: z.uint(Number.MAX_SAFE_INTEGER),
  work: z.uintString(128),
});

/**
 * What a record's measurements say of a worker; undefined where they say nothing of it.
 * @param leaves all of them, of which the root is the record's
 */
export function measuredProofOf(
  record: PostedRecord['record'],
  leaves: readonly EpochLeaf[],
  workerId: Bytes32,
): MeasuredProof | undefined {
  for (const [index, { leaf, says }] of leaves.entries()) {
    const measured = measuredWorkerOf(says);
    // What somebody serves beside a leaf counts only where it makes that leaf.
    if (measured?.workerId !== workerId || measuredLeaf(measured) !== leaf) continue;
    return { record, measured, proof: merkleProof(merkleTree(leaves.map((one) => one.leaf)), index) };
  }
  return undefined;
}

/** The worker that a leaf is about; undefined for one about a member. */
function measuredWorkerOf(says: EpochLeaf['says']): MeasuredWorker | undefined {
  if (!('workerId' in says)) return undefined;
  try {
    return z.parseWith(measuredJson, says, 'leaf of measurements');
  } catch (error) {
    if (error instanceof SchemaError) return undefined;
    throw error;
  }
}
