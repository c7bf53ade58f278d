import { type Address, type Bytes32, type Keccak256, tagHashWith } from '@cloister/core';
import { keccak256 } from '@cloister/crypto';

/** A worker that jobs may be given to. */
export type DirectoryWorker = {
  readonly workerId: Bytes32;
  readonly signer: Address;
  readonly platformId: Bytes32;
  readonly operator: Address;
  readonly teeType: number;
  /** In PHA's smallest unit: its bond, 1 where it has none. */
  readonly stake: bigint;
};

/** A worker's place: it is drawn by every number from `stakeFrom` to `stakeTo` − 1. */
export type DirectoryEntry = {
  readonly workerId: Bytes32;
  readonly signer: Address;
  readonly platformId: Bytes32;
  readonly operator: Address;
  /** 1 Intel, 2 AMD, 3 AWS; 0 whoever has no name here. */
  readonly vendor: number;
  readonly stakeFrom: bigint;
  readonly stakeTo: bigint;
};

const vendorOf: Readonly<Record<number, number>> = { 1: 1, 2: 1, 3: 2, 4: 3 };

/** The directory, ascending by workerId, with the stake of all before each summed up. Throws RangeError for a worker without stake or twice. */
export function directoryOf(workers: readonly DirectoryWorker[]): DirectoryEntry[] {
  let [stakeFrom, last] = [0n, ''];
  return [...workers].sort(byWorkerId).map(({ workerId, signer, platformId, operator, teeType, stake }) => {
    if (stake < 1n) throw new RangeError(`Expected worker "${workerId}" to have a stake of at least 1, got "${stake}"`);
    if (workerId === last) throw new RangeError(`Expected worker "${workerId}" once`);
    const stakeTo = stakeFrom + stake;
    const entry = { workerId, signer, platformId, operator, vendor: vendorOf[teeType] ?? 0, stakeFrom, stakeTo };
    [stakeFrom, last] = [stakeTo, workerId];
    return entry;
  });
}

/** H("cloister/directory: v1", workerId, signer, platformId, operator, vendor, stakeFrom, stakeTo). */
export function directoryLeaf(entry: DirectoryEntry, keccak: Keccak256 = keccak256): Bytes32 {
  const { workerId, signer, platformId, operator, vendor, stakeFrom, stakeTo } = entry;
  const words = [workerId, signer, platformId, operator, vendor, stakeFrom, stakeTo];
  return tagHashWith(keccak, 'cloister/directory: v1', words);
}

function byWorkerId(left: DirectoryWorker, right: DirectoryWorker): number {
  return left.workerId < right.workerId ? -1 : 1;
}
