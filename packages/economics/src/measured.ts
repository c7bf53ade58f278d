import { type Bytes32, type Keccak256, tagHashWith, type WorkerMeasurement } from '@cloister/core';
import { keccak256 } from '@cloister/crypto';

/** What the committee says of a worker: the median of what its members saw, taken so that doubt is not in the worker's favour. */
export type MeasuredWorker = {
  readonly workerId: Bytes32;
  /** Members that asked it anything: at least the threshold. */
  readonly measuredBy: number;
  /** Answered of asked, in millionths, each member's share rounded down. */
  readonly availability: number;
  /** In ms; 0 where fewer than the threshold had an answer. */
  readonly latencyMs: number;
  /** Units a second; 0 where fewer than the threshold measured it. */
  readonly work: bigint;
};

/**
 * Every worker that at least a threshold of members measured, ascending by id; of others nothing is said. Of an even number of values the worse one of the middle two counts: the
 * lower availability and work, the higher latency. So the median lies within what honest members saw wherever fewer than half lie.
 * @param vectors the workers of each member's vector: at most one of each member
 * @param threshold members that must have measured a worker; at least 1
 */
export function measuredWorkersOf(
  vectors: readonly (readonly WorkerMeasurement[])[],
  threshold: number,
): MeasuredWorker[] {
  const seen = new Map<Bytes32, WorkerMeasurement[]>();
  for (const vector of vectors)
    for (const measurement of vector) {
      const before = seen.get(measurement.workerId);
      if (before === undefined) seen.set(measurement.workerId, [measurement]);
      else before.push(measurement);
    }
  return [...seen].flatMap(([workerId, all]) => measuredWorker(workerId, all, threshold) ?? []).sort(byWorkerId);
}

function measuredWorker(
  workerId: Bytes32,
  all: readonly WorkerMeasurement[],
  threshold: number,
): MeasuredWorker | undefined {
  const asked = all.filter(({ asked }) => asked > 0);
  const measuredBy = asked.length;
  if (measuredBy < threshold) return undefined;
  const answered = asked.filter(({ answered }) => answered > 0);
  const working = answered.filter(({ work }) => work > 0n);
  return {
    workerId,
    measuredBy,
    availability: Number(
      lowerMedian(asked.map(({ asked, answered }) => (BigInt(answered) * 1_000_000n) / BigInt(asked))),
    ),
    latencyMs:
      answered.length < threshold ? 0 : Number(upperMedian(answered.map(({ latencyMs }) => BigInt(latencyMs)))),
    work: working.length < threshold ? 0n : lowerMedian(working.map(({ work }) => work)),
  };
}

/** The middle value; of an even number of them the lower one of the middle two. Throws RangeError for none. */
export function lowerMedian(values: readonly bigint[]): bigint {
  return ranked(values, Math.floor((values.length - 1) / 2));
}

/** The middle value; of an even number of them the higher one of the middle two. Throws RangeError for none. */
export function upperMedian(values: readonly bigint[]): bigint {
  return ranked(values, Math.floor(values.length / 2));
}

function ranked(values: readonly bigint[], rank: number): bigint {
  const value = [...values].sort((left, right) => (left < right ? -1 : left > right ? 1 : 0))[rank];
  if (value === undefined) throw new RangeError('Expected at least one value');
  return value;
}

/** H("cloister/measured: v1", workerId, measuredBy, availability, latencyMs, work). */
export function measuredLeaf(worker: MeasuredWorker, keccak: Keccak256 = keccak256): Bytes32 {
  const { workerId, measuredBy, availability, latencyMs, work } = worker;
  return tagHashWith(keccak, 'cloister/measured: v1', [workerId, measuredBy, availability, latencyMs, work]);
}

function byWorkerId(left: MeasuredWorker, right: MeasuredWorker): number {
  return left.workerId < right.workerId ? -1 : 1;
}
