import { describe, expect, test } from 'vitest';
import { type MappedTest, tryMutants } from '../../scripts/lib/contractMutationTries.ts';
import { before, keepTests, describe as keptDescribe, it as keptIt } from '../../scripts/lib/nodeTestShim.ts';

type Fake = { readonly name: string; readonly reaches: readonly number[]; readonly noticed: readonly number[] };

/** Tests that fail where a mutant that they notice is awake, as long as none hides it. */
function triesOf(tests: readonly Fake[], hides: Readonly<Record<number, number>> = {}) {
  const calls: [string, readonly number[]][] = [];
  const maps = tests.map((fake): MappedTest<Fake> => ({ test: fake, ms: 1, hits: new Set(fake.reaches) }));
  const passes = async ({ name, noticed }: Fake, ids: readonly number[]) => {
    calls.push([name, ids]);
    return !ids.some((id) => noticed.includes(id) && !ids.includes(hides[id] ?? -1));
  };
  return { maps, passes, calls, nameOf: ({ name }: Fake) => name };
}

const fake = (name: string, reaches: readonly number[], noticed: readonly number[]): Fake => ({
  name,
  reaches,
  noticed,
});
const range = (count: number) => Array.from({ length: count }, (_, index) => index + 1);
const unexpected = (ids: readonly number[]) => ids.map((id) => ({ id, expected: false }));

describe('tryMutants', () => {
  test('finds the mutants that tests fail by, and no others', async () => {
    const { maps, passes, nameOf } = triesOf([fake('a', [1, 2, 3], [2]), fake('b', [3, 4], [4])]);
    expect(await tryMutants({ mutants: unexpected([1, 2, 3, 4, 5]), maps, passes, nameOf })).toEqual([2, 4]);
  });

  test('finds them in the last of many tests, and tries no test that does not reach them', async () => {
    const many = range(30).map((n) => fake(`misses ${n}`, range(20), []));
    const { maps, passes, calls, nameOf } = triesOf([
      ...many,
      fake('notices', range(40), [7, 19]),
      fake('other', [50], [50]),
    ]);
    expect(
      (await tryMutants({ mutants: unexpected(range(20)), maps, passes, nameOf })).toSorted((a, b) => a - b),
    ).toEqual([7, 19]);
    expect(calls.some(([name]) => name === 'other')).toBe(false);
    expect(calls.length).toBeLessThan(30 * 20);
  });

  test('finds one that another hides while both are awake', async () => {
    const few = range(4).map((n) => fake(`misses ${n}`, [1, 2], []));
    const { maps, passes, nameOf } = triesOf([...few, fake('notices', [1, 2, 3], [1])], { 1: 2 });
    expect(await tryMutants({ mutants: unexpected([1, 2]), maps, passes, nameOf })).toEqual([1]);
  });

  test('tries what is expected to live only with others', async () => {
    const { maps, passes, calls, nameOf } = triesOf([fake('a', [1, 2], []), fake('b', [1, 2], [2])]);
    const mutants = [1, 2].map((id) => ({ id, expected: true }));
    expect(await tryMutants({ mutants, maps, passes, nameOf })).toEqual([2]);
    expect(calls).toEqual([
      ['a', [1, 2]],
      ['b', [1, 2]],
      ['b', []],
      ['b', [1, 2]],
      ['b', [1]],
      ['b', [2]],
    ]);
  });

  test('tries them with none of the others, which they might hide', async () => {
    const few = range(4).map((n) => fake(`misses ${n}`, [1, 2], []));
    const { maps, passes, nameOf } = triesOf([...few, fake('notices', [1, 2, 3], [1])], { 1: 2 });
    const mutants = [1, 2].map((id) => ({ id, expected: id === 2 }));
    expect(await tryMutants({ mutants, maps, passes, nameOf })).toEqual([1]);
  });

  test('finds one that hides behind another which is noticed', async () => {
    const few = range(30).map((n) => fake(`misses ${n}`, [1, 2], []));
    const both = [fake('notices 1', [1, 2, 3], [1]), fake('notices 2', [1, 2, 3, 4], [2])];
    const { maps, passes, nameOf } = triesOf([...few, ...both], { 1: 2 });
    expect((await tryMutants({ mutants: unexpected([1, 2]), maps, passes, nameOf })).toSorted()).toEqual([1, 2]);
  });

  test('does not believe a test that fails without mutants, too', async () => {
    const { maps, nameOf } = triesOf([fake('a', [1], [])]);
    const lines: string[] = [];
    const passes = async () => false;
    const onProgress = (line: string) => void lines.push(line);
    expect(await tryMutants({ mutants: unexpected([1]), maps, passes, nameOf, onProgress })).toEqual([]);
    expect(lines).toEqual(['a fails when it runs again, and is left out']);
  });
});

describe('keepTests', () => {
  test('keeps what is not skipped, with names and hooks, and runs nothing', async () => {
    const ran: string[] = [];
    const kept = await keepTests(async () => {
      keptIt('alone', () => void ran.push('alone'));
      keptDescribe('outer', () => {
        before(() => void ran.push('before'));
        keptDescribe('inner', async () => {
          keptIt('test', {}, () => void ran.push('test'));
        });
        keptIt('skipped', { skip: 'no evidence' }, () => void ran.push('skipped'));
      });
      keptDescribe('skipped', { skip: true }, () => keptIt('in it', () => {}));
    });
    expect(kept.map(({ name }) => name)).toEqual(['alone', 'outer > inner > test']);
    expect(kept[1]?.suite.above?.before).toHaveLength(1);
    expect(ran).toEqual([]);
  });
});
