import { type BlockId, firstBlockSince, type Head } from '@cloister/chain';
import fc from 'fast-check';
import { expect, test } from 'vitest';

function chainOf(gaps: readonly number[]) {
  let timestamp = 1_000n;
  const blocks = gaps.map((gap, index): Head => {
    timestamp += BigInt(gap);
    return { number: BigInt(index), hash: `0x${index.toString(16).padStart(64, '0')}`, timestamp };
  });
  const asked: bigint[] = [];
  const blockAt = async (number: bigint) => {
    asked.push(number);
    return blocks[Number(number)] ?? expect.fail(`no block ${number}`);
  };
  const head = blocks.at(-1) ?? expect.fail();
  const blockOn = (end: BlockId, number: bigint) => {
    expect(end).toBe(head);
    return blockAt(number);
  };
  return { blocks, view: { blockAt, blockOn }, asked, head };
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

test('is refused where the branch of the head has another block there, or an earlier one since the time', async () => {
  const { view, head, blocks } = chainOf(Array.from({ length: 100 }, () => 12));
  const real = blocks[50] ?? expect.fail();
  const find = (changed: Head) =>
    firstBlockSince(
      { ...view, blockOn: async (_, number) => (number === changed.number ? changed : view.blockAt(number)) },
      head,
      real.timestamp,
    );
  expect(await find(real)).toEqual(real);
  await expect(find({ ...real, hash: `0x${'77'.repeat(32)}` })).rejects.toMatchObject({ code: 'CHAIN_SPLIT' });
  const before = blocks[49] ?? expect.fail();
  expect(await find(before)).toEqual(real);
  await expect(find({ ...before, timestamp: real.timestamp })).rejects.toMatchObject({ code: 'CHAIN_SPLIT' });
});
