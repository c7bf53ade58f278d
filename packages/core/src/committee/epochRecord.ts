import { hashStruct, type RecordDomain, structType, typedDataDigest } from '../eip712.ts';
import type { Bytes32, Hex } from '../hex.ts';
import * as z from '../schema.ts';

/** What the committee says about an epoch. Every field follows from the chain and from what members published. */
export type EpochRecord = {
  readonly epoch: bigint;
  /** Which try it was: minutes between the epoch's end and the newest final block. */
  readonly attempt: number;
  /** The first block after the epoch: workers and members are those of its end. */
  readonly block: bigint;
  readonly blockHash: Bytes32;
  /** Randomness of the epoch's first round. */
  readonly beacon: Bytes32;
  readonly measurementsRoot: Bytes32;
  readonly directoryRoot: Bytes32;
  /** Of what each pool gets; zero where none gets anything. */
  readonly rewardsRoot: Bytes32;
  readonly evictionRoot: Bytes32;
  readonly releaseLogRoot: Bytes32;
  readonly totals: {
    /** Members whose measurements count. */
    readonly members: number;
    /** Workers in the directory. */
    readonly workers: number;
    /** Stake of all of them, in PHA's smallest unit: bonds, and 1 of each worker without one. */
    readonly stake: bigint;
    /** Sum of the workers' median work, units a second. */
    readonly work: bigint;
    /** What all pools get together, in PHA's smallest unit. */
    readonly rewards: bigint;
  };
};

const recordType = structType(
  'EpochRecord(uint64 epoch,uint32 attempt,uint64 block,bytes32 blockHash,bytes32 beacon,bytes32 measurementsRoot,bytes32 directoryRoot,bytes32 rewardsRoot,bytes32 evictionRoot,bytes32 releaseLogRoot,uint32 members,uint32 workers,uint128 stake,uint128 work,uint128 rewards)',
);

/** The EIP-712 digest that members sign and the chain keeps. */
export function epochRecordDigest(domain: RecordDomain, record: EpochRecord): Bytes32 {
  const { epoch, attempt, block, blockHash, beacon, measurementsRoot, directoryRoot, rewardsRoot } = record;
  const { members, workers, stake, work, rewards } = record.totals;
  return typedDataDigest(
    domain,
    hashStruct(
      recordType,
      epoch,
      attempt,
      block,
      blockHash,
      beacon,
      measurementsRoot,
      directoryRoot,
      rewardsRoot,
      record.evictionRoot,
      record.releaseLogRoot,
      members,
      workers,
      stake,
      work,
      rewards,
    ),
  );
}

/** The first field in which two records differ, totals as `totals.work`; undefined where they are the same. */
export function differingRecordField(left: EpochRecord, right: EpochRecord): string | undefined {
  const [one, other] = [flat(left), flat(right)];
  return Object.keys(one).find((name) => one[name] !== other[name]);
}

function flat({ totals, ...rest }: EpochRecord): Readonly<Record<string, unknown>> {
  return {
    ...rest,
    ...Object.fromEntries(Object.entries(totals).map(([name, value]) => [`totals.${name}`, value])),
  };
}

/** Seconds that one proposer has before it is the next one's turn. */
export const epochAttemptSeconds = 60n;

/** Which attempt it is. Unix seconds both; undefined before the epoch's end. */
export function epochAttemptAt(finalTimestamp: bigint, epochEnd: bigint): number | undefined {
  if (finalTimestamp < epochEnd) return undefined;
  const attempt = (finalTimestamp - epochEnd) / epochAttemptSeconds;
  return attempt > 0xffff_ffffn ? undefined : Number(attempt);
}

/** Whose turn it is: the index, from 0, in the members' order. */
export function epochProposerAt(beacon: Bytes32, attempt: number, members: number): number {
  return Number((BigInt(beacon) + BigInt(attempt)) % BigInt(members));
}

const recordJson = z.strictObject({
  epoch: z.uintString(64),
  attempt: z.uint(0xffff_ffff),
  block: z.uintString(64),
  blockHash: z.bytes32,
  beacon: z.bytes32,
  measurementsRoot: z.bytes32,
  directoryRoot: z.bytes32,
  rewardsRoot: z.bytes32,
  evictionRoot: z.bytes32,
  releaseLogRoot: z.bytes32,
  totals: z.strictObject({
    members: z.uint(32),
    workers: z.uint(0xffff_ffff),
    stake: z.uintString(128),
    work: z.uintString(128),
    rewards: z.uintString(128),
  }),
});

/** Reads a record. Throws SchemaError. */
export function parseEpochRecord(json: unknown): EpochRecord {
  return z.parseWith(recordJson, json, 'epoch record') as EpochRecord;
}

/** The record as JSON has it. */
export function epochRecordToJson(record: EpochRecord): z.Json {
  const { epoch, block, totals } = record;
  const { stake, work, rewards } = totals;
  return {
    ...record,
    epoch: epoch.toString(),
    block: block.toString(),
    totals: { ...totals, stake: stake.toString(), work: work.toString(), rewards: rewards.toString() },
  };
}

/** A record that a member proposes: from which publications it follows, and who has signed it. */
export type EpochCandidate = {
  readonly record: EpochRecord;
  /** Ids of all publications that it rests on, those of members that published two among them. */
  readonly basis: readonly Bytes32[];
  /** Over {@link epochRecordDigest}: the proposer's first. */
  readonly signatures: readonly Hex[];
};

const candidateJson = z.strictObject({
  record: z.jsonObject,
  basis: z.array(z.bytes32).check(z.refineArray(0, 64)),
  signatures: z.array(z.hexOf(65)).check(z.refineArray(1, 32)),
});

/** Reads a candidate; whose signatures they are, is for who checks them. Throws SchemaError. */
export function parseEpochCandidate(json: unknown): EpochCandidate {
  const { record, ...rest } = z.parseWith(candidateJson, json, 'epoch candidate');
  return { ...rest, record: parseEpochRecord(record) };
}

/** The candidate as JSON has it. */
export function epochCandidateToJson({ record, ...rest }: EpochCandidate): z.Json {
  return { ...rest, record: epochRecordToJson(record) };
}
