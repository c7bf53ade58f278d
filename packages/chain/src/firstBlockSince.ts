import type { ChainView, Head } from './chainView.ts';

/**
 * The first block whose timestamp (unix seconds) is not before the given one, as all RPCs have it; undefined while there is none.
 * Costs about 2·log2(distance from the newest block) reads.
 */
export async function firstBlockSince(
  view: Pick<ChainView, 'blockAt'>,
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
  return found;
}
