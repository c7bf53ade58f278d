import {
  type Address,
  type Bytes32,
  commitmentTo,
  type MeasurementVector,
  measurementVectorId,
  zeroBytes32,
} from '@cloister/core';
import { keccak256 } from '@cloister/crypto/fast-keccak';
import { epochDataOf } from '@cloister/economics';
import { type BenchLine, interleaved } from './measure.ts';

const workers = 100_000;
const members = Array.from({ length: 7 }, (_, index) => addressOf(index + 1));
const threshold = 5;

/** epoch-100k: an epoch's record, with all its leaves, of 100,000 workers that seven members measured. */
export async function benchEpoch(): Promise<BenchLine> {
  const vectors = members.map(
    (member, by): MeasurementVector => ({
      format: 'cloister-measurements-1',
      epoch: 1n,
      member,
      releaseLogHead: bytes32(by),
      workers: Array.from({ length: workers }, (_, of) => ({
        workerId: bytes32(of + 1),
        asked: 60,
        answered: 60 - ((of + by) % 3),
        latencyMs: 20 + ((of * by) % 7),
        work: BigInt(1_000 + ((of + by) % 100)),
      })),
    }),
  );
  const ids = vectors.map(measurementVectorId);
  const seen = members.map((member, index) => ({
    member,
    commitment: commitmentTo(ids[index] ?? zeroBytes32, zeroBytes32),
  }));
  const inputs = {
    epoch: 1n,
    attempt: 0,
    block: 1n,
    blockHash: bytes32(1),
    beacon: bytes32(2),
    members,
    threshold,
    publications: members.map((member, index) => ({
      epoch: 1n,
      member,
      vectorId: ids[index] ?? zeroBytes32,
      salt: zeroBytes32,
      seen,
    })),
    vectors: new Map(vectors.map((vector, index) => [ids[index] ?? zeroBytes32, vector])),
    workers: Array.from({ length: workers }, (_, index) => ({
      workerId: bytes32(index + 1),
      signer: addressOf(index + 1),
      platformId: bytes32(index + 1),
      operator: addressOf(index % 100),
      teeType: 2,
      stake: 1n,
    })),
    evicted: [],
    earners: { budget: 0n, bondFactor: 0n, workers: [] },
  };
  const ours = () => {
    const { record } = epochDataOf(inputs, keccak256);
    if (record.totals.members !== members.length || record.totals.workers !== workers)
      throw new Error('Expected all members and workers');
  };
  return interleaved({ id: 'epoch-100k', ours, runs: 3, warmUps: 1 });
}

function bytes32(value: number): Bytes32 {
  return `0x${value.toString(16).padStart(64, '0')}`;
}

function addressOf(value: number): Address {
  return `0x${value.toString(16).padStart(40, '0')}`;
}
