import type { ChainView, ProposedCall } from '@cloister/chain';
import type { Address, Hex } from '@cloister/core';
import { encodeAbiParameters, keccak256, numberToHex } from 'viem';
import type { Fork, ForkAnswer } from './effect.ts';
import { probes } from './effectReads.ts';

/** Reads of one question: an RPC bounds what one may cost. */
const readsOfQuestion = 200;

/** Where `CloisterGovernor` keeps the calls to itself that its executor is about to make (OpenZeppelin's `Governor._governanceCall`). */
export const governanceCallSlot = 5n;

/**
 * A fork that the RPCs make themselves (`eth_simulateV1`): the state of a block, at a later time, with the timelock as the caller. Needs no
 * node of one's own, so a page can do the same.
 * @param timestamp unix seconds that the calls see; later than the block
 */
export function simulatedFork(
  view: Pick<ChainView, 'simulate'>,
  at: { readonly timelock: Address; readonly governor: Address; readonly block: bigint; readonly timestamp: bigint },
  signal?: AbortSignal,
): Fork {
  const { timelock, governor, block, timestamp } = at;
  return async (calls, reads): Promise<ForkAnswer> => {
    const simulation = {
      block,
      timestamp,
      calls: calls.map(({ target, value, data }) => ({ from: timelock, to: target, value, data })),
      overrides: [...Object.values(probes), ...ownCalls(governor, calls)],
    };
    const pages = Array.from({ length: Math.max(1, Math.ceil(reads.length / readsOfQuestion)) }, (_, index) =>
      reads.slice(index * readsOfQuestion, (index + 1) * readsOfQuestion),
    );
    const found: (Hex | undefined)[] = [];
    let made: ForkAnswer['calls'] = [];
    for (const page of pages) {
      const answer = await view.simulate({ ...simulation, reads: page }, signal);
      made = answer.calls;
      found.push(...answer.reads.map((read) => (read.ok ? read.data : undefined)));
    }
    return { calls: made, reads: found };
  };
}

/** What a proposal changes of the Governor itself, the Governor takes only while it executes it: the queue of what it awaits, filled. */
function ownCalls(governor: Address, calls: readonly ProposedCall[]) {
  const own = calls.filter(({ target }) => target === governor);
  if (own.length === 0) return [];
  const entries = own.map(({ data }, index) => [entrySlot(BigInt(index)), keccak256(data)] as const);
  const ends = numberToHex(BigInt(own.length) << 128n, { size: 32 });
  const storage: Record<Hex, Hex> = {
    [numberToHex(governanceCallSlot, { size: 32 })]: ends,
    ...Object.fromEntries(entries),
  };
  return [{ address: governor, storage }];
}

/** Of the mapping behind both ends (`DoubleEndedQueue.Bytes32Deque`). */
function entrySlot(index: bigint): Hex {
  return keccak256(encodeAbiParameters([{ type: 'uint256' }, { type: 'uint256' }], [index, governanceCallSlot + 1n]));
}
