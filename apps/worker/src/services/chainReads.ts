import type { ChainView, Head } from '@cloister/chain';
import { asAddress, type Hex } from '@cloister/core';
import type { ChainBlock, ChainService, ServiceContext } from '@cloister/sandbox';
import { AppServiceError } from './appServiceError.ts';

export type ChainReadsComponents = {
  readonly view: Pick<ChainView, 'head' | 'call' | 'balance'>;
  /** The time of day in ms. */
  readonly clockMs: () => number;
};

/** Reads of one invocation. */
const maxReads = 64;
/** Bytes that a contract may answer. */
const maxAnswerBytes = 65_536;

/** `ctx.chain` for one invocation: all of its reads are of one block, the newest when it read first. */
export function chainReads({ view, clockMs }: ChainReadsComponents): ChainService {
  let head: Promise<Head> | undefined;
  let reads = 0;
  const at = async ({ signal }: ServiceContext): Promise<Head> => {
    reads += 1;
    if (reads > maxReads)
      throw new AppServiceError('CHAIN_READS_TOO_MANY', `A call reads the chain at most "${maxReads}" times`);
    head ??= view.head(signal);
    // The next read may find what this one did not.
    head.catch(() => {
      head = undefined;
    });
    return head;
  };
  const told = ({ number, hash, timestamp }: Head): ChainBlock => ({
    ...{ number: number.toString(), hash, timestamp: timestamp.toString() },
    ageMs: Math.max(0, clockMs() - Number(timestamp) * 1_000),
  });
  return {
    block: async (context) => told(await at(context)),
    async call({ to, data }, context) {
      const block = await at(context);
      const value = await view.call(
        { to: asAddress(to, 'to'), data: data as Hex, block: block.number },
        context.signal,
      );
      if (value.length > 2 + 2 * maxAnswerBytes)
        throw new AppServiceError(
          'CHAIN_ANSWER_TOO_LARGE',
          `A read of the chain answers at most "${maxAnswerBytes}" bytes`,
        );
      return { value, block: told(block) };
    },
    async balance(account, context) {
      const block = await at(context);
      const value = await view.balance(asAddress(account, 'account'), block.number, context.signal);
      return { value: value.toString(), block: told(block) };
    },
  };
}
