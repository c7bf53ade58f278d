import { readFileSync } from 'node:fs';
import {
  type Address,
  type Bytes32,
  commitmentTo,
  type MeasurementPublication,
  type MeasurementVector,
  measurementVectorId,
  merkleRoot,
  parseMeasurementVector,
  type WorkerMeasurement,
  zeroBytes32,
} from '@cloister/core';
import { utf8 } from '@cloister/crypto';
import { keccak256 as fastKeccak256 } from '@cloister/crypto/fast-keccak';
import {
  type BondedWorker,
  countedPublicationsOf,
  differingLeaf,
  directoryLeaf,
  directoryOf,
  type EpochInputs,
  epochDataOf,
  lowerMedian,
  measuredWorkersOf,
  rewardLeaf,
  upperMedian,
} from '@cloister/economics';
import { describe, expect, test } from 'vitest';

const b32 = (value: number): Bytes32 => `0x${value.toString(16).padStart(64, '0')}`;
const operator = (value: number): Address => `0x${value.toString(16).padStart(40, '0')}`;

/** Numbers that are the same in every run: xorshift. */
function numbersFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return Math.abs(state) % below;
  };
}

const measurement = (worker: number, changes: Partial<WorkerMeasurement> = {}): WorkerMeasurement => ({
  workerId: b32(worker),
  asked: 60,
  answered: 60,
  latencyMs: 20,
  work: 1_000n,
  ...changes,
});

function shuffled<T>(list: readonly T[], below: (limit: number) => number): T[] {
  const rest = [...list];
  return list.map(() => rest.splice(below(rest.length), 1)[0] as T);
}

describe('medians', () => {
  test('of an even number the worse of the middle two', () => {
    expect([lowerMedian([4n, 1n, 3n, 2n]), upperMedian([4n, 1n, 3n, 2n])]).toEqual([2n, 3n]);
    expect([lowerMedian([9n, 1n, 5n]), upperMedian([9n, 1n, 5n])]).toEqual([5n, 5n]);
    expect(() => lowerMedian([])).toThrow(RangeError);
    const seen = measuredWorkersOf(
      [
        [measurement(1, { answered: 30, latencyMs: 10, work: 5n })],
        [measurement(1, { answered: 60, latencyMs: 90, work: 7n })],
      ],
      2,
    );
    expect(seen).toEqual([{ workerId: b32(1), measuredBy: 2, availability: 500_000, latencyMs: 90, work: 5n }]);
  });

  test('of a worker that fewer than the threshold measured nothing is said', () => {
    const vectors = [[measurement(1), measurement(2)], [measurement(2)], [measurement(1, { asked: 0, answered: 0 })]];
    expect(measuredWorkersOf(vectors, 2).map(({ workerId }) => workerId)).toEqual([b32(2)]);
  });

  test('latency and work only where enough members had them', () => {
    const silent = measurement(1, { answered: 0, latencyMs: 0, work: 0n });
    const [worker] = measuredWorkersOf([[measurement(1)], [silent], [silent]], 2);
    expect(worker).toEqual({ workerId: b32(1), measuredBy: 3, availability: 0, latencyMs: 0, work: 0n });
    const [idle] = measuredWorkersOf([[measurement(1)], [measurement(1, { work: 0n })]], 2);
    expect(idle).toMatchObject({ availability: 1_000_000, latencyMs: 20, work: 0n });
  });

  test('a share is rounded down', () => {
    const [worker] = measuredWorkersOf([[measurement(1, { asked: 3, answered: 2 })]], 1);
    expect(worker?.availability).toBe(666_666);
  });

  test('fewer than half can not move a median out of what the others saw', () => {
    const below = numbersFrom(0xc10157e);
    for (let round = 0; round < 300; round += 1) {
      const honest = 2 + below(6);
      const lying = 1 + below(honest - 1);
      const vectorOf = (): WorkerMeasurement => {
        const asked = 1 + below(500);
        return measurement(1, {
          asked,
          answered: 1 + below(asked),
          latencyMs: below(1_000),
          work: BigInt(1 + below(10_000)),
        });
      };
      const truth = Array.from({ length: honest }, vectorOf);
      const lies = Array.from({ length: lying }, () =>
        below(2) === 0
          ? measurement(1, { asked: 65_535, answered: 1, latencyMs: 0xffff_ffff, work: 1n })
          : measurement(1, { asked: 1, answered: 1, latencyMs: 0, work: (1n << 64n) - 1n }),
      );
      const [median] = measuredWorkersOf(
        shuffled([...truth, ...lies], below).map((one) => [one]),
        2,
      );
      const range = (values: readonly number[]) => [Math.min(...values), Math.max(...values)] as const;
      const shares = truth.map(({ asked, answered }) => Math.floor((answered * 1_000_000) / asked));
      const seen: [number, readonly number[]][] = [
        [median?.availability ?? -1, shares],
        [median?.latencyMs ?? -1, truth.map(({ latencyMs }) => latencyMs)],
        [Number(median?.work ?? -1), truth.map(({ work }) => Number(work))],
      ];
      for (const [value, values] of seen) {
        const [least, most] = range(values);
        expect(value).toBeGreaterThanOrEqual(least);
        expect(value).toBeLessThanOrEqual(most);
      }
    }
  });
});

const members = [1, 2, 3, 4].map(operator);
const epoch = 12n;

/** Vectors of all members; each saw the commitments of whoever `saw` says. */
function publish(
  saw: (by: number, of: number) => boolean = () => true,
  workersOf: (member: number) => readonly WorkerMeasurement[] = () => [measurement(1)],
): { publications: MeasurementPublication[]; vectors: Map<Bytes32, MeasurementVector> } {
  const vectors = members.map(
    (member, index): MeasurementVector => ({
      format: 'cloister-measurements-1',
      epoch,
      member,
      releaseLogHead: b32(0x100 + index),
      workers: workersOf(index),
    }),
  );
  const publications = vectors.map((vector, by) => ({
    epoch,
    member: vector.member,
    vectorId: measurementVectorId(vector),
    salt: b32(by + 1),
    seen: vectors.flatMap((other, of) =>
      saw(by, of) ? [{ member: other.member, commitment: commitmentTo(measurementVectorId(other), b32(of + 1)) }] : [],
    ),
  }));
  return { publications, vectors: new Map(vectors.map((vector) => [measurementVectorId(vector), vector])) };
}

describe('whose measurements count', () => {
  test('all that were committed to before a threshold published, in the members’ order', () => {
    const { counted, equivocators, late } = countedPublicationsOf(publish().publications.reverse(), members, 3);
    expect(counted.map(({ member }) => member)).toEqual(members);
    expect([equivocators, late]).toEqual([[], []]);
  });

  test('not that of a member whose commitment too few had', () => {
    const { publications } = publish((by, of) => of !== 3 || by > 1);
    const { counted, late } = countedPublicationsOf(publications, members, 3);
    expect(counted).toHaveLength(3);
    expect(late).toEqual([members[3]]);
    expect(countedPublicationsOf(publications, members, 2).late).toEqual([]);
  });

  test('not another vector than the one that was committed to', () => {
    const [first, ...rest] = publish().publications as [MeasurementPublication, ...MeasurementPublication[]];
    const other = { ...first, vectorId: b32(0xbad) };
    expect(countedPublicationsOf([other, ...rest], members, 3).late).toEqual([members[0]]);
  });

  test('none of a member that published two, and it is named', () => {
    const all = publish().publications;
    const [first] = all as [MeasurementPublication];
    const second = { ...first, seen: [] };
    const { counted, equivocators } = countedPublicationsOf([...all, second, second], members, 3);
    expect(counted.map(({ member }) => member)).toEqual(members.slice(1));
    expect(equivocators).toEqual([{ member: members[0], ids: expect.any(Array) }]);
    const [a, b] = equivocators[0]?.ids ?? [];
    expect((a ?? '') < (b ?? '')).toBe(true);
    // Its word that it saw others' commitments does not count either.
    const saw = publish((by, of) => of !== 3 || by === 0 || by === 3).publications;
    const twice = { ...(saw[0] as MeasurementPublication), seen: [] };
    expect(countedPublicationsOf([...saw, twice], members, 2).late).toEqual([members[3]]);
  });

  test('none of somebody who is no member', () => {
    expect(countedPublicationsOf(publish().publications, members.slice(1), 3).counted).toHaveLength(3);
  });
});

const inputs: EpochInputs = {
  epoch,
  attempt: 0,
  block: 99n,
  blockHash: b32(0xb10c),
  beacon: b32(0xbeac),
  members,
  threshold: 3,
  ...publish(),
  workers: [3, 1, 2].map((worker) => ({
    workerId: b32(worker),
    signer: operator(0x50 + worker),
    platformId: b32(0x60 + worker),
    operator: operator(0x70 + worker),
    teeType: worker + 1,
    stake: BigInt(worker * 10),
  })),
  evicted: [operator(0x99), operator(0x98)],
  earners: { budget: 0n, bondFactor: 10n ** 18n, workers: [] },
};

/** A worker whose bond covers ten units of work. */
const bonded = (worker: number, changes: Partial<BondedWorker> = {}): BondedWorker => ({
  workerId: b32(worker),
  platformId: b32(0x60 + worker),
  operator: operator(0x70 + worker),
  bond: 4n * 10n ** 18n,
  tcbStatus: 1,
  ...changes,
});
const working = (...workers: readonly number[]) =>
  publish(undefined, () => workers.map((worker) => measurement(worker, { work: 100_000n })));

describe('an epoch’s data', () => {
  test('follows from what it says, whatever the order of it', () => {
    const below = numbersFrom(77);
    const { record, leaves } = epochDataOf(inputs);
    for (let round = 0; round < 30; round += 1)
      expect(
        epochDataOf({
          ...inputs,
          publications: shuffled(inputs.publications, below),
          workers: shuffled(inputs.workers, below),
          evicted: shuffled(inputs.evicted, below),
        }),
      ).toEqual({ record, leaves });
    expect(record.totals).toEqual({ members: 4, workers: 3, stake: 60n, work: 1_000n, rewards: 0n });
    expect(record.rewardsRoot).toBe(zeroBytes32);
    expect(epochDataOf(inputs, fastKeccak256)).toEqual({ record, leaves });
  });

  test('is what the vectors say', () => {
    const vectors = JSON.parse(
      readFileSync(new URL('../../../vectors/committee.json', import.meta.url), 'utf8'),
      (key, value) =>
        /^(epoch|block|stake|work|rewards|stakeFrom|stakeTo|budget|bondFactor|bond|amount)$/.test(key)
          ? BigInt(value)
          : value,
    );
    const read = new Map<Bytes32, MeasurementVector>(
      vectors.measurements.map(({ vector, vectorId }: { vector: string; vectorId: Bytes32 }) => [
        vectorId,
        parseMeasurementVector(utf8(vector)),
      ]),
    );
    const publications = vectors.measurements.map((entry: { publication: unknown }) => entry.publication);
    const { record, leaves } = epochDataOf({ ...vectors.epochRecord.inputs, publications, vectors: read });
    expect(record).toEqual(vectors.epochRecord.record);
    expect(leaves).toEqual(vectors.epochRecord.leaves);
  });

  test('every input changes its own root alone', () => {
    const { record } = epochDataOf(inputs);
    const changed = (changes: Partial<EpochInputs>) => {
      const other = epochDataOf({ ...inputs, ...changes }).record;
      return Object.keys(record).filter((field) => differs(field, other));
    };
    const text = (_: string, value: unknown) => (typeof value === 'bigint' ? value.toString() : value);
    const differs = (field: string, other: typeof record) =>
      JSON.stringify(record[field as keyof typeof record], text) !==
      JSON.stringify(other[field as keyof typeof record], text);
    expect(changed({ evicted: [] })).toEqual(['evictionRoot']);
    expect(changed({ workers: inputs.workers.slice(1) })).toEqual(['directoryRoot', 'totals']);
    expect(changed(publish(undefined, () => [measurement(1, { latencyMs: 21 })]))).toEqual(['measurementsRoot']);
    expect(changed({ publications: inputs.publications.slice(1) })).toEqual([
      'measurementsRoot',
      'releaseLogRoot',
      'totals',
    ]);
    expect(changed({ attempt: 1, beacon: b32(1), block: 1n, blockHash: b32(1) })).toEqual([
      'attempt',
      'block',
      'blockHash',
      'beacon',
    ]);
  });

  describe('rewards', () => {
    const dataOf = (workers: readonly BondedWorker[], changes: Partial<EpochInputs> = {}) =>
      epochDataOf({
        ...inputs,
        ...working(1, 2, 3),
        earners: { ...inputs.earners, budget: 900n, workers },
        ...changes,
      });
    const paid = (workers: readonly BondedWorker[], changes?: Partial<EpochInputs>) =>
      dataOf(workers, changes).leaves.rewardsRoot.map(({ says }) => [says.operator, says.amount]);

    test('are a leaf for each pool, ascending, whatever the order of workers and publications', () => {
      const below = numbersFrom(5);
      const workers = [bonded(3), bonded(1), bonded(2, { operator: operator(0x73) })];
      const { record, leaves } = dataOf(workers);
      expect(leaves.rewardsRoot).toEqual(
        [
          { epoch, operator: operator(0x71), amount: 300n },
          { epoch, operator: operator(0x73), amount: 600n },
        ].map((says) => ({ leaf: rewardLeaf(says), says })),
      );
      expect(record.totals.rewards).toBe(900n);
      expect(record.rewardsRoot).toBe(merkleRoot(leaves.rewardsRoot.map(({ leaf }) => leaf)));
      for (let round = 0; round < 10; round += 1)
        expect(
          dataOf(shuffled(workers, below), { publications: shuffled(working(1, 2, 3).publications, below) }),
        ).toEqual({ record, leaves });
    });

    test('change nothing else of the record', () => {
      const [without, paying] = [dataOf([]).record, dataOf([bonded(1)]).record];
      expect(paying).toEqual({
        ...without,
        rewardsRoot: paying.rewardsRoot,
        totals: { ...without.totals, rewards: 900n },
      });
      expect([without.rewardsRoot, without.totals.rewards]).toEqual([zeroBytes32, 0n]);
    });

    test('are none for who is not bonded, did not work, or whose machine nothing vouches for', () => {
      expect(paid([bonded(1)])).toEqual([[operator(0x71), 900n]]);
      expect(paid([bonded(1), bonded(2, { tcbStatus: 7 }), bonded(3, { tcbStatus: 0 })])).toEqual([
        [operator(0x71), 900n],
      ]);
      expect(paid([bonded(1), bonded(9)])).toEqual([[operator(0x71), 900n]]);
      expect(paid([bonded(1, { bond: 10n ** 17n })])).toEqual([]);
    });

    test('are for a machine’s work once, however many workers it has', () => {
      const platformId = b32(0x61);
      const alone = paid([bonded(1), bonded(2)]);
      const split = paid([bonded(1), bonded(2), bonded(3, { platformId })]);
      const amounts = new Map(split as [Address, bigint][]);
      const [one, other] = [amounts.get(operator(0x71)) ?? 0n, amounts.get(operator(0x73)) ?? 0n];
      expect(alone).toEqual([
        [operator(0x71), 450n],
        [operator(0x72), 450n],
      ]);
      expect(one).toBe(other);
      expect(one).toBeLessThan(amounts.get(operator(0x72)) ?? 0n);
    });

    test('are less where the machine is trusted less', () => {
      const [[, full], [, less]] = paid([bonded(1), bonded(2, { tcbStatus: 5 })]) as [
        [Address, bigint],
        [Address, bigint],
      ];
      expect(less).toBeLessThan(full);
      expect(less).toBeGreaterThan(0n);
    });
  });

  test('what was published for another epoch does not count', () => {
    const { record } = epochDataOf({ ...inputs, epoch: 13n });
    expect(record.totals.members).toBe(0);
    expect(record.measurementsRoot).toBe(zeroBytes32);
  });

  test('needs the vectors that count, and no others', () => {
    const [first] = inputs.publications as [MeasurementPublication];
    const vectors = new Map([...inputs.vectors].filter(([id]) => id !== first.vectorId));
    const missing = expect.objectContaining({
      code: 'EPOCH_VECTOR_MISSING',
      meta: expect.objectContaining({ member: first.member }),
    });
    expect(() => epochDataOf({ ...inputs, vectors })).toThrow(missing);
    const publications = [...inputs.publications, { ...first, seen: [] }];
    expect(epochDataOf({ ...inputs, publications, vectors }).record.totals.members).toBe(3);
  });

  test('the directory sums up stakes; its leaves differ in every field', () => {
    const directory = directoryOf(inputs.workers);
    expect(directory.map(({ stakeFrom, stakeTo, vendor }) => [stakeFrom, stakeTo, vendor])).toEqual([
      [0n, 10n, 1],
      [10n, 30n, 2],
      [30n, 60n, 3],
    ]);
    const [first] = directory as [(typeof directory)[number]];
    for (const change of [
      { workerId: b32(9) },
      { signer: operator(9) },
      { platformId: b32(9) },
      { operator: operator(9) },
      { vendor: 0 },
      { stakeFrom: 1n },
      { stakeTo: 1n },
    ])
      expect(directoryLeaf({ ...first, ...change })).not.toBe(directoryLeaf(first));
    const [one] = inputs.workers as [(typeof inputs.workers)[number]];
    expect(() => directoryOf([{ ...one, stake: 0n }])).toThrow(RangeError);
    expect(() => directoryOf([one, one])).toThrow(RangeError);
  });

  test('the first leaf that differs', () => {
    const list = [1, 2, 3].map((value) => ({ leaf: b32(value) }));
    expect(differingLeaf(list, [...list])).toBeUndefined();
    expect(differingLeaf(list, list.slice(0, 2))).toBe(2);
    expect(differingLeaf([{ leaf: b32(9) }, ...list.slice(1)], list)).toBe(0);
  });
});
