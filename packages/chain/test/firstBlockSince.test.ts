import { firstBlockSince, type Head } from '@cloister/chain';
import fc from 'fast-check';
import { expect, test } from 'vitest';

function chainOf(gaps: readonly number[]) {
  let timestamp = 1_000n;
  const blocks = gaps.map((gap, index): Head => {
    timestamp += BigInt(gap);
    return { number: BigInt(index), hash: `0x${index.toString(16).padStart(64, '0')}`, timestamp };
  });
  const asked: bigint[] = [];
  const view = {
    blockAt: async (number: bigint) => {
      asked.push(number);
      return blocks[Number(number)] ?? expect.fail(`no block ${number}`);
    },
  };
  return { blocks, view, asked, head: blocks.at(-1) ?? expect.fail() };
}

test('is the first block that is not before the time, whatever the distances, also with equal timestamps', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.nat(3), { minLength: 1, maxLength: 200 }),
      fc.bigInt(990n, 1_700n),
      async (gaps, time) => {
        const { blocks, view, head } = chainOf(gaps);
        expect(await firstBlockSince(view, head, time)).toEqual(blocks.find(({ timestamp }) => timestamp >= time));
      },
    ),
  );
});

test('costs few reads', async () => {
  const { view, head, asked } = chainOf(Array.from({ length: 100_000 }, () => 12));
  expect((await firstBlockSince(view, head, 1_000n + 12n * 40_000n))?.number).toBe(39_999n);
  expect(asked.length).toBeLessThan(36);
});
