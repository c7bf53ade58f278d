import type { RegistryReader } from '@cloister/chain';
import type { HeadWatch } from '../heads/headWatch.ts';
import type { ResultFacts } from './resultRules.ts';

export type ChainResultFactsComponents = {
  readonly registry: RegistryReader;
  /** Whether the chain that this member sees is the one that enough others see. */
  readonly heads: Pick<HeadWatch, 'assertWitnessed'>;
};

/** The facts of one judgement, read at the newest block on which all RPCs agree. Throws ChainError, CHAIN_UNWITNESSED. */
export async function readResultFacts(
  { registry, heads }: ChainResultFactsComponents,
  signal: AbortSignal,
): Promise<ResultFacts> {
  const head = await registry.view.head(signal);
  heads.assertWitnessed(head);
  return {
    block: head.number,
    time: head.timestamp,
    policy: (teeType, inner) => registry.teePolicy(teeType, head.number, inner),
    blockOf: (hash, inner) => registry.view.blockByHash(hash, inner),
  };
}
