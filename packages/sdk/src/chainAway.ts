import { ChainError } from '@cloister/chain';
import { DeadlineError } from '@cloister/core';

/** Whether the chain could not be read, whatever it would have said. */
export function isChainAway(error: unknown): boolean {
  return (error instanceof ChainError && error.retry) || error instanceof DeadlineError;
}
