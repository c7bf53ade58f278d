import { TokenBuckets } from '@cloister/service';
import { rateLimited } from './exchange.ts';
import type { GatewayLimits } from './limits.ts';
import { ProblemError } from './problem.ts';

/** How many calls and sessions one address may begin, and have under way. */
export class CallAdmission {
  readonly #limits: GatewayLimits;
  readonly #rate: TokenBuckets;
  readonly #running = new Map<string, number>();

  constructor(limits: GatewayLimits) {
    this.#limits = limits;
    const { callBurstPerClient, callsPerSecondPerClient } = limits;
    this.#rate = new TokenBuckets({ burst: callBurstPerClient, perSecond: callsPerSecondPerClient });
  }

  /** Throws RATE_LIMITED. */
  assertRate(client: string): void {
    const waitMs = this.#rate.take(client);
    if (waitMs > 0) throw rateLimited('calls', waitMs);
  }

  /** Takes a place, and answers how to give it back. Throws TOO_MANY_CALLS. */
  enter(client: string): () => void {
    const running = this.#running.get(client) ?? 0;
    if (running >= this.#limits.callsAtOncePerClient)
      throw new ProblemError('too-many-calls', `This address already has "${running}" calls under way`, {
        headers: { 'retry-after': '1' },
      });
    this.#running.set(client, running + 1);
    return () => {
      const left = (this.#running.get(client) ?? 1) - 1;
      if (left === 0) this.#running.delete(client);
      else this.#running.set(client, left);
    };
  }
}
