import type { Address, Bytes32, EpochRecord, Hex } from '@cloister/core';
import { beforeEach, expect, test } from 'vitest';
import { RecordWatch, type TwoRecords } from '../src/slashing/recordWatch.ts';

const b32 = (byte: number): Bytes32 => `0x${byte.toString(16).padStart(2, '0').repeat(32)}`;
const signer = (byte: number): Address => `0x${byte.toString(16).padStart(2, '0').repeat(20)}`;
const record = (epoch: bigint, attempt: number, rewardsRoot = b32(1)) =>
  ({ epoch, attempt, rewardsRoot }) as EpochRecord;
const signature: Hex = `0x${'51'.repeat(65)}`;

let proofs: TwoRecords[];
let watch: RecordWatch;
beforeEach(() => {
  proofs = [];
  watch = new RecordWatch((proof) => void proofs.push(proof));
});
const see = (of: EpochRecord, digest: number, ...signers: number[]) =>
  watch.see(
    of,
    b32(digest),
    signers.map((byte) => [signer(byte), signature] as const),
  );

test('two records of one attempt are a proof against each that signed both', () => {
  see(record(7n, 1), 1, 1, 2, 3);
  see(record(7n, 1, b32(2)), 2, 3, 4);
  expect(proofs).toEqual([
    {
      signer: signer(3),
      records: [
        { record: record(7n, 1), signature },
        { record: record(7n, 1, b32(2)), signature },
      ],
    },
  ]);
});

test('the same again, another attempt and another epoch are none', () => {
  see(record(7n, 1), 1, 1);
  see(record(7n, 1), 1, 1);
  see(record(7n, 2), 2, 1);
  see(record(8n, 1), 3, 1);
  expect(proofs).toEqual([]);
});

test('what is long over is forgotten', () => {
  see(record(7n, 1), 1, 1);
  for (let epoch = 8n; epoch < 8n + 4_096n; epoch += 1n) see(record(epoch, 1), 1, 1);
  see(record(7n, 1), 2, 1);
  expect(proofs).toEqual([]);
});
