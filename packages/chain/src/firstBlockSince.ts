import type { Head } from './chainLog.ts';
import { ChainError, type ChainView } from './chainView.ts';

/**
 * The first block on the branch of `head` whose timestamp (unix seconds) is not before the given one; undefined while there is none.
 * Costs about 2·log2(distance from the newest block) reads. Throws CHAIN_SPLIT where what was found is not of that branch.
 */
export async function firstBlockSince(
  view: Pick<ChainView, 'blockAt' | 'blockOn'>,
  head: Head,
  timestamp: bigint,
  signal?: AbortSignal,
): Promise<Head | undefined> {
  if (head.timestamp < timestamp) return undefined;
  let found = head;
  let before = -1n;
  // Back from the newest in doubled steps: what is asked for is mostly near.
  for (let step = 1n; found.number > 0n; step *= 2n) {
    const number = found.number > step ? found.number - step : 0n;
    const block = await view.blockAt(number, signal);
    if (block.timestamp < timestamp) {
      before = number;
      break;
    }
    found = block;
  }
  while (found.number - before > 1n) {
    const block = await view.blockAt((found.number + before) / 2n, signal);
    if (block.timestamp < timestamp) before = block.number;
    else found = block;
  }
  await assertFirst(view, head, found, timestamp, signal);
  return found;
}

async function assertFirst(
  view: Pick<ChainView, 'blockOn'>,
  head: Head,
  { number, hash }: Head,
  timestamp: bigint,
  signal: AbortSignal | undefined,
): Promise<void> {
  const isOfBranch = (await view.blockOn(head, number, signal)).hash === hash;
  const isFirst = number === 0n || (await view.blockOn(head, number - 1n, signal)).timestamp < timestamp;
  if (!isOfBranch || !isFirst)
    throw new ChainError(
      'CHAIN_SPLIT',
      `Block "${number}" is not the first since "${timestamp}" before "${head.hash}"`,
      {
        number,
        hash,
      },
    );
}
