import {
  type Address,
  type Bytes32,
  CloisterError,
  type EpochRecord,
  evictionTreeOf,
  gapLeaf,
  type Keccak256,
  type MeasurementPublication,
  type MeasurementVector,
  merkleRoot,
  publicationId,
  tagHash,
} from '@cloister/core';
import { keccak256 } from '@cloister/crypto';
import { tcbConfidenceOf } from './confidence.ts';
import { countedPublicationsOf } from './countedPublications.ts';
import { type DirectoryWorker, directoryLeaf, directoryOf } from './directory.ts';
import { type MeasuredWorker, measuredLeaf, measuredWorkersOf } from './measured.ts';
import { type EarningWorker, type EpochRewards, epochRewardsOf, rewardLeaf } from './rewards.ts';
import { defaultWorthRules } from './worth.ts';

/** A worker that ran with a bond at an epoch's block. */
export type BondedWorker = Omit<EarningWorker, 'confidenceBps'> & {
  /** By the contracts' numbers; 0 where nothing vouches for its machine. */
  readonly tcbStatus: number;
};

/** What an epoch's rewards follow from besides measurements. Amounts in PHA's smallest unit. */
export type EpochEarners = {
  /** The most that workers may get together. */
  readonly budget: bigint;
  /** k. */
  readonly bondFactor: bigint;
  readonly workers: readonly BondedWorker[];
};

/** All that an epoch's record follows from. */
export type EpochInputs = Pick<EpochRecord, 'epoch' | 'attempt' | 'block' | 'blockHash' | 'beacon'> & {
  /** Operators of the members at that block, in their order. */
  readonly members: readonly Address[];
  readonly threshold: number;
  /** Their signatures checked. */
  readonly publications: readonly MeasurementPublication[];
  /** By id, each what its publication says that it is; needed of those alone that count. */
  readonly vectors: ReadonlyMap<Bytes32, MeasurementVector>;
  /** Workers that were active and leased at that block. */
  readonly workers: readonly DirectoryWorker[];
  /** Signers that were evicted for cause by that block and whose leases would still run. */
  readonly evicted: readonly Address[];
  readonly earners: EpochEarners;
};

/** A leaf, and in words what it says. */
export type EpochLeaf = { readonly leaf: Bytes32; readonly says: Readonly<Record<string, unknown>> };

/** The record's trees, by the field that holds their root. */
export type EpochLeaves = Readonly<
  Record<'measurementsRoot' | 'directoryRoot' | 'rewardsRoot' | 'evictionRoot' | 'releaseLogRoot', readonly EpochLeaf[]>
>;
export type EpochData = { readonly record: EpochRecord; readonly leaves: EpochLeaves };

/**
 * An epoch's record with all its leaves: the same for everybody who has the same inputs, in whatever order.
 * Throws EPOCH_VECTOR_MISSING where that of a publication that counts is not there.
 *
 * - measurements: of each member in order whose vector counts H("cloister/counted: v1", member, publicationId), then of each that
 *   published two H("cloister/equivocated: v1", member, id, id), then what was measured of each worker;
 * - rewards: {@link rewardLeaf} of each pool that earns, ascending by operator;
 * - release log: H("cloister/release-head: v1", member, head) of each member whose vector counts, in their order.
 */
export function epochDataOf(inputs: EpochInputs, keccak: Keccak256 = keccak256): EpochData {
  const { epoch, attempt, block, blockHash, beacon, members, threshold } = inputs;
  const ofEpoch = inputs.publications.filter((publication) => publication.epoch === epoch);
  const { counted, equivocators } = countedPublicationsOf(ofEpoch, members, threshold);
  const vectors = counted.map(({ member, vectorId }) => {
    const vector = inputs.vectors.get(vectorId);
    if (vector === undefined) throw new EpochVectorMissingError(member, vectorId);
    return vector;
  });
  const measured = measuredWorkersOf(
    vectors.map(({ workers }) => workers),
    threshold,
  );
  const directory = directoryOf(inputs.workers);
  const { rewards, total } = rewardsOf(epoch, inputs.earners, measured);
  const leaves: EpochLeaves = {
    measurementsRoot: [
      ...counted.map((publication) => {
        const says = { member: publication.member, publication: publicationId(publication) };
        return { leaf: tagHash('cloister/counted: v1', says.member, says.publication), says };
      }),
      ...equivocators.map(({ member, ids }) => ({
        leaf: tagHash('cloister/equivocated: v1', member, ...ids),
        says: { member, equivocated: ids },
      })),
      ...measured.map((worker) => ({ leaf: measuredLeaf(worker, keccak), says: worker })),
    ],
    directoryRoot: directory.map((entry) => ({ leaf: directoryLeaf(entry, keccak), says: entry })),
    rewardsRoot: rewards.map((reward) => ({ leaf: rewardLeaf(reward, keccak), says: reward })),
    evictionRoot: evictionTreeOf(inputs.evicted, keccak).gaps.map((gap) => ({ leaf: gapLeaf(gap, keccak), says: gap })),
    releaseLogRoot: vectors.map(({ member, releaseLogHead }) => ({
      leaf: tagHash('cloister/release-head: v1', member, releaseLogHead),
      says: { member, releaseLogHead },
    })),
  };
  const rootOf = (field: keyof EpochLeaves) =>
    merkleRoot(
      leaves[field].map(({ leaf }) => leaf),
      keccak,
    );
  return {
    record: {
      epoch,
      attempt,
      block,
      blockHash,
      beacon,
      measurementsRoot: rootOf('measurementsRoot'),
      directoryRoot: rootOf('directoryRoot'),
      rewardsRoot: rootOf('rewardsRoot'),
      evictionRoot: rootOf('evictionRoot'),
      releaseLogRoot: rootOf('releaseLogRoot'),
      totals: {
        members: counted.length,
        workers: directory.length,
        stake: directory.at(-1)?.stakeTo ?? 0n,
        work: measured.reduce((sum, { work }) => sum + work, 0n),
        rewards: total,
      },
    },
    leaves,
  };
}

function rewardsOf(
  epoch: bigint,
  { budget, bondFactor, workers }: EpochEarners,
  measured: readonly MeasuredWorker[],
): EpochRewards {
  const trusted = workers.flatMap(({ tcbStatus, ...worker }) => {
    const confidenceBps = tcbConfidenceOf(tcbStatus);
    return confidenceBps === 0n ? [] : [{ ...worker, confidenceBps }];
  });
  return epochRewardsOf({ epoch, budget, workers: trusted, measured, rules: { ...defaultWorthRules, bondFactor } });
}

/** The first leaf in which two lists differ, by its place from 0; undefined where they are the same. */
export function differingLeaf(
  left: readonly { readonly leaf: Bytes32 }[],
  right: readonly { readonly leaf: Bytes32 }[],
): number | undefined {
  const length = Math.max(left.length, right.length);
  for (let index = 0; index < length; index += 1) if (left[index]?.leaf !== right[index]?.leaf) return index;
  return undefined;
}

export class EpochVectorMissingError extends CloisterError<'EPOCH_VECTOR_MISSING'> {
  override readonly name = 'EpochVectorMissingError';
  constructor(member: Address, vectorId: Bytes32) {
    super({
      code: 'EPOCH_VECTOR_MISSING',
      message: `The measurements "${vectorId}" of member "${member}" are not there`,
      meta: { member, vectorId },
      retry: true,
    });
  }
}
