import { type Address, type Hex, hashTypedData, toHex, zeroHash } from 'viem';
import { type CommitteeWorld, proofOf } from './committeeWorld.ts';
import { chainId, hour } from './world.ts';

export type Records = Awaited<ReturnType<typeof deployEpochRecords>>;
export type EpochRecord = Awaited<ReturnType<typeof recordWith>>;

/** @param registry whose clock counts the epochs, and whose address stands in the records' domain */
export async function deployEpochRecords(
  { viem, timelock, committee, workers }: CommitteeWorld,
  registry: Address = workers.address,
) {
  return viem.deployContract('EpochRecords', [timelock.address, committee.address, registry]);
}

/** When an epoch ends, unix seconds. */
export function endOf({ settings }: CommitteeWorld, epoch: bigint): bigint {
  return settings.genesis + (epoch + 1n) * BigInt(hour);
}

const fieldOf = (seed: number): Hex => toHex(0xf1e1d000 + seed, { size: 32 });

/** A record of an epoch over the newest block, but for the changes. */
export async function recordWith({ publicClient }: CommitteeWorld, epoch: bigint, changes: object = {}) {
  const block = await publicClient.getBlock();
  return {
    epoch,
    attempt: 0,
    blockNumber: block.number ?? 0n,
    blockHash: block.hash ?? zeroHash,
    beacon: fieldOf(1),
    measurementsRoot: fieldOf(2),
    directoryRoot: fieldOf(3),
    rewardsRoot: zeroHash,
    evictionRoot: fieldOf(4),
    releaseLogRoot: fieldOf(5),
    members: 4,
    workers: 7,
    stake: 70n,
    work: 700n,
    rewards: 0n,
    ...changes,
  };
}

const recordTypes = {
  EpochRecord: [
    { name: 'epoch', type: 'uint64' },
    { name: 'attempt', type: 'uint32' },
    { name: 'block', type: 'uint64' },
    { name: 'blockHash', type: 'bytes32' },
    { name: 'beacon', type: 'bytes32' },
    { name: 'measurementsRoot', type: 'bytes32' },
    { name: 'directoryRoot', type: 'bytes32' },
    { name: 'rewardsRoot', type: 'bytes32' },
    { name: 'evictionRoot', type: 'bytes32' },
    { name: 'releaseLogRoot', type: 'bytes32' },
    { name: 'members', type: 'uint32' },
    { name: 'workers', type: 'uint32' },
    { name: 'stake', type: 'uint128' },
    { name: 'work', type: 'uint128' },
    { name: 'rewards', type: 'uint128' },
  ],
} as const;

/** What members sign, by viem. */
export function recordDigest(record: EpochRecord, registry: Address, onChain = chainId): Hex {
  return hashTypedData({
    domain: { name: 'Cloister', version: '1', chainId: onChain, verifyingContract: registry },
    types: recordTypes,
    primaryType: 'EpochRecord',
    message: { ...record, block: record.blockNumber },
  });
}

/** Signed by members 0 to 2 unless said: for each member index the seed of who signs there. */
export async function postRecord(
  records: Records,
  record: EpochRecord,
  signers: Readonly<Record<number, number>> = { 0: 1, 1: 2, 2: 3 },
): Promise<Hex> {
  const digest = recordDigest(record, await records.read.workerRegistry());
  return records.write.post([record, await proofOf(digest, signers)]);
}
