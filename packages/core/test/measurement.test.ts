import {
  canonicalJson,
  commitmentTo,
  differingRecordField,
  type EpochCandidate,
  type EpochIndex,
  type EpochRecord,
  epochAttemptAt,
  epochCandidateToJson,
  epochIndexToJson,
  epochProposerAt,
  epochRecordToJson,
  type MeasurementVector,
  maxEpochIndexBytes,
  maxMeasuredWorkers,
  maxMeasurementVectorBytes,
  measurementCommitmentDigest,
  measurementMessageToJson,
  measurementPublicationDigest,
  measurementVectorBytes,
  measurementVectorId,
  parseEpochCandidate,
  parseEpochIndex,
  parseEpochRecord,
  parseMeasurementCommitment,
  parseMeasurementPublication,
  parseMeasurementVector,
  type SignedMeasurementPublication,
  type WorkerMeasurement,
} from '@cloister/core';
import { utf8 } from '@cloister/crypto';
import { describe, expect, test } from 'vitest';
import { addr, b32, domain } from './helpers.ts';

const worker = (byte: number, changes: Partial<WorkerMeasurement> = {}): WorkerMeasurement => ({
  workerId: b32(byte),
  asked: 60,
  answered: 59,
  latencyMs: 21,
  work: 1_000n,
  ...changes,
});
const vector: MeasurementVector = {
  format: 'cloister-measurements-1',
  epoch: 7n,
  member: addr(1),
  releaseLogHead: b32(2),
  workers: [worker(0x10), worker(0x20)],
};
const json = (value: object) => JSON.parse(JSON.stringify(value));

describe('measurement vector', () => {
  test('reads what it writes, the largest values among it', () => {
    const largest = worker(0xff, { asked: 65_535, answered: 65_535, latencyMs: 0xffff_ffff, work: (1n << 64n) - 1n });
    const silent = worker(0xfe, { answered: 0, latencyMs: 0, work: 0n });
    for (const workers of [[], vector.workers, [silent, largest]]) {
      const bytes = measurementVectorBytes({ ...vector, workers });
      expect(parseMeasurementVector(bytes)).toEqual({ ...vector, workers });
    }
  });

  test('as many workers as may be fit into as many bytes as may be', () => {
    const one = worker(0xff, { asked: 65_535, answered: 65_535, latencyMs: 0xffff_ffff, work: (1n << 64n) - 1n });
    const each = measurementVectorBytes({ ...vector, workers: [one] }).length;
    const none = measurementVectorBytes({ ...vector, workers: [] }).length;
    expect(none + (each - none + 1) * maxMeasuredWorkers).toBeLessThan(maxMeasurementVectorBytes);
  });

  test.each([
    ['out of order', [worker(0x20), worker(0x10)]],
    ['one twice', [worker(0x10), worker(0x10)]],
    ['more answers than questions', [worker(0x10, { asked: 1, answered: 2 })]],
    ['a latency of no answer', [worker(0x10, { answered: 0, work: 0n })]],
    ['work of no answer', [worker(0x10, { answered: 0, latencyMs: 0 })]],
  ])('refuses %s', (_, workers) => {
    const bytes = utf8(
      canonicalJson({
        ...vector,
        epoch: '7',
        workers: workers.map((one) => ({ ...one, work: one.work.toString() })),
      }),
    );
    const invalid = expect.objectContaining({ code: 'MEASUREMENT_INVALID' });
    expect(() => parseMeasurementVector(bytes)).toThrow(invalid);
    expect(() => measurementVectorBytes({ ...vector, workers })).toThrow(invalid);
  });

  test('refuses bytes of any other form', () => {
    const good = new TextDecoder().decode(measurementVectorBytes(vector));
    const bad: [string, string][] = [
      [good.slice(0, -1), 'JSON_MALFORMED'],
      [` ${good}`, 'JSON_NOT_CANONICAL'],
      [good.replace('"asked":60', '"asked":65536'), 'SCHEMA_MISMATCH'],
      [good.replace('"asked":60', '"asked":60.5'), 'SCHEMA_MISMATCH'],
      [good.replace('"asked":60', '"asked":-1'), 'SCHEMA_MISMATCH'],
      [good.replace('"work":"1000"', `"work":"${1n << 64n}"`), 'SCHEMA_MISMATCH'],
      [good.replace('"latencyMs":21', '"latencyMs":4294967296'), 'SCHEMA_MISMATCH'],
      [good.replace('"epoch":"7"', '"epoch":7'), 'SCHEMA_MISMATCH'],
      [good.replace('"format"', '"a":1,"format"'), 'JSON_NOT_CANONICAL'],
      [good.replace('{"epoch"', '{"a":1,"epoch"'), 'SCHEMA_MISMATCH'],
      [' '.repeat(maxMeasurementVectorBytes + 1), 'JSON_TOO_LARGE'],
    ];
    for (const [text, code] of bad)
      expect(() => parseMeasurementVector(utf8(text)), text.slice(0, 40)).toThrow(expect.objectContaining({ code }));
  });
});

describe('commitment and publication', () => {
  const publication: SignedMeasurementPublication = {
    epoch: 7n,
    member: addr(1),
    vectorId: measurementVectorId(vector),
    salt: b32(9),
    seen: [
      { member: addr(1), commitment: b32(0x31) },
      { member: addr(2), commitment: b32(0x32) },
    ],
    signature: `0x${'ab'.repeat(65)}`,
  };
  const commitment = { epoch: 7n, member: addr(1), commitment: b32(3), signature: publication.signature };

  test('read what they write', () => {
    expect(parseMeasurementPublication(json(measurementMessageToJson(publication)))).toEqual(publication);
    expect(parseMeasurementCommitment(json(measurementMessageToJson(commitment)))).toEqual(commitment);
  });

  test('every field is signed', () => {
    const digest = measurementPublicationDigest(domain, publication);
    const changes: Partial<SignedMeasurementPublication>[] = [
      { epoch: 8n },
      { member: addr(2) },
      { vectorId: b32(8) },
      { salt: b32(8) },
      { seen: publication.seen.slice(1) },
    ];
    for (const change of changes)
      expect(measurementPublicationDigest(domain, { ...publication, ...change })).not.toBe(digest);
    const committed = measurementCommitmentDigest(domain, commitment);
    for (const change of [{ epoch: 8n }, { member: addr(2) }, { commitment: b32(4) }])
      expect(measurementCommitmentDigest(domain, { ...commitment, ...change })).not.toBe(committed);
  });

  test('another salt is another commitment', () => {
    expect(commitmentTo(b32(1), b32(2))).not.toBe(commitmentTo(b32(1), b32(3)));
  });

  test('hostile forms', () => {
    const good = json(measurementMessageToJson(publication));
    const mismatch = expect.objectContaining({ code: 'SCHEMA_MISMATCH' });
    const many = Array.from({ length: 33 }, (_, index) => ({ member: addr(index), commitment: b32(1) }));
    for (const change of [{ more: 1 }, { epoch: 7 }, { signature: '0x' }, { seen: many }, { salt: undefined }])
      expect(() => parseMeasurementPublication({ ...good, ...change })).toThrow(mismatch);
    for (const seen of [[...good.seen].reverse(), [good.seen[0], good.seen[0]]])
      expect(() => parseMeasurementPublication({ ...good, seen })).toThrow(
        expect.objectContaining({ code: 'MEASUREMENT_INVALID' }),
      );
    for (const value of [null, {}, [], { ...json(measurementMessageToJson(commitment)), more: 1 }])
      expect(() => parseMeasurementCommitment(value)).toThrow(mismatch);
  });
});

describe('epoch record', () => {
  const record: EpochRecord = {
    epoch: 7n,
    attempt: 2,
    block: 345n,
    blockHash: b32(1),
    beacon: b32(2),
    measurementsRoot: b32(3),
    directoryRoot: b32(4),
    rewardsRoot: b32(0),
    evictionRoot: b32(5),
    releaseLogRoot: b32(6),
    totals: { members: 4, workers: 5, stake: 6n, work: 7n, rewards: 0n },
  };

  test('the first field that differs is named', () => {
    expect(differingRecordField(record, { ...record })).toBeUndefined();
    for (const [field, value] of Object.entries(record)) {
      if (field === 'totals') continue;
      const other = typeof value === 'string' ? b32(0xee) : typeof value === 'bigint' ? value + 1n : 99;
      expect(differingRecordField(record, { ...record, [field]: other })).toBe(field);
    }
    const totals = { ...record.totals, work: 8n };
    expect(differingRecordField(record, { ...record, totals })).toBe('totals.work');
  });

  test('attempts and whose turn it is', () => {
    expect(epochAttemptAt(999n, 1_000n)).toBeUndefined();
    expect([1_000n, 1_059n, 1_060n, 1_120n].map((now) => epochAttemptAt(now, 1_000n))).toEqual([0, 0, 1, 2]);
    expect(epochAttemptAt(1_000n + (60n << 32n), 1_000n)).toBeUndefined();
    expect([0, 1, 2, 3].map((attempt) => epochProposerAt(`0x${'0'.repeat(63)}5`, attempt, 3))).toEqual([2, 0, 1, 2]);
    expect(epochProposerAt(`0x${'f'.repeat(64)}`, 1, 7)).toBe(Number((1n << 256n) % 7n));
  });

  test('hostile forms', () => {
    const good = json(epochRecordToJson(record) as object);
    const mismatch = expect.objectContaining({ code: 'SCHEMA_MISMATCH' });
    for (const change of [
      { more: 1 },
      { attempt: 2 ** 32 },
      { attempt: 1.5 },
      { epoch: `${1n << 64n}` },
      { block: 345 },
      { beacon: '0x12' },
      { totals: { ...good.totals, members: 33 } },
      { totals: { ...good.totals, stake: `${1n << 128n}` } },
      { totals: { ...good.totals, more: 1 } },
    ])
      expect(() => parseEpochRecord({ ...good, ...change })).toThrow(mismatch);
    const candidate: EpochCandidate = { record, basis: [b32(1)], signatures: [`0x${'ab'.repeat(65)}`] };
    const written = json(epochCandidateToJson(candidate) as object);
    expect(parseEpochCandidate(written)).toEqual(candidate);
    for (const change of [
      { basis: Array(65).fill(b32(1)) },
      { signatures: [] },
      { signatures: Array(33).fill(candidate.signatures[0]) },
      { record: null },
      { record: { ...good, more: 1 } },
    ])
      expect(() => parseEpochCandidate({ ...written, ...change })).toThrow(mismatch);
  });

  test('a member’s index: as much as may be in it fits, more is refused', () => {
    const signature = `0x${'ab'.repeat(65)}` as const;
    const everybody = Array.from({ length: 32 }, (_, index) => addr(index + 1));
    const full: EpochIndex = {
      epoch: (1n << 64n) - 1n,
      commitments: everybody.map((member) => ({ epoch: 7n, member, commitment: b32(1), signature })),
      publications: [...everybody, ...everybody, ...everybody].map((member) => ({
        epoch: 7n,
        member,
        vectorId: b32(1),
        salt: b32(2),
        seen: everybody.map((seen) => ({ member: seen, commitment: b32(3) })),
        signature,
      })),
      candidates: Array.from({ length: 8 }, (_, attempt) => ({
        record: { ...record, attempt },
        basis: Array(64).fill(b32(1)),
        signatures: Array(32).fill(signature),
      })),
    };
    const text = JSON.stringify(epochIndexToJson(full));
    expect(text.length).toBeLessThan(maxEpochIndexBytes);
    expect(parseEpochIndex(JSON.parse(text))).toEqual(full);
    const mismatch = expect.objectContaining({ code: 'SCHEMA_MISMATCH' });
    const good = JSON.parse(text);
    for (const part of ['commitments', 'publications', 'candidates'])
      expect(() => parseEpochIndex({ ...good, [part]: [...good[part], good[part][0]] })).toThrow(mismatch);
    for (const change of [{ more: 1 }, { epoch: 7 }, { publications: [null] }, { commitments: [{}] }])
      expect(() => parseEpochIndex({ ...good, ...change })).toThrow(mismatch);
  });
});
