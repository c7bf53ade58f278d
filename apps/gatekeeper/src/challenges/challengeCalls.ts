import { ChainError } from '@cloister/chain';
import { type Bytes32, type Hex, type NetworkFile, readBounded, withDeadline } from '@cloister/core';
import { type CloisterClient, createClient, GatewayError, type ReceiptWatch } from '@cloister/sdk';
import { randomBelow } from './challengePool.ts';

export type ChallengeCallsComponents = {
  readonly network: NetworkFile;
  /** The network's keys, which workers' evidence is bound to; undefined before there are any. */
  readonly keys: () => { readonly apps: Hex; readonly beacon: Hex } | undefined;
  /** The network's challenge app; undefined where none is named. */
  readonly app: (signal: AbortSignal) => Promise<Bytes32 | undefined>;
  /**
   * Unix ms of the newest block that this member sees, which `app` has found to be witnessed by others: its machine's own clock may be
   * wrong by any amount, and would then find every worker silent.
   */
  readonly clockMs: () => number;
  /** One for all gateways: a worker that signs two receipts for one place is asked nothing more, and so counts as silent. */
  readonly receipts: ReceiptWatch;
  readonly fetch?: typeof globalThis.fetch;
};

/** From the question to its whole answer, in ms: what takes longer counts as not answered. */
const callTimeoutMs = 20_000;
const healthTimeoutMs = 3_000;

/** Calls of the challenge app as any client makes them, each by another gateway. */
export class ChallengeCalls {
  readonly #components: ChallengeCallsComponents;
  readonly #clients = new Map<string, CloisterClient>();

  constructor(components: ChallengeCallsComponents) {
    this.#components = components;
  }

  /**
   * The answer of one worker, its receipt verified; undefined where no app is named, or chain or gateway don't answer this member: then
   * nothing is to be said of the worker. Throws where the worker does not answer, or with an error.
   */
  async call(workerId: Bytes32, body: Uint8Array, signal: AbortSignal): Promise<Uint8Array | undefined> {
    const { network, keys, app } = this.#components;
    const gateway = network.gateways[randomBelow(network.gateways.length)] as string;
    try {
      const challengeApp = await app(signal);
      const networkKeys = keys();
      if (challengeApp === undefined || networkKeys === undefined) return undefined;
      const client = this.#client(gateway, networkKeys);
      const result = await client.call(
        challengeApp,
        { method: 'POST', body },
        { worker: workerId, timeoutMs: callTimeoutMs, signal },
      );
      if (!result.ok || result.status !== 200) throw new Error(`It answered "${result.outcome}", ${result.status}`);
      return result.body;
    } catch (error) {
      if (error instanceof ChainError || error instanceof GatewayError || !(await this.#answers(gateway, signal)))
        return undefined;
      throw error;
    }
  }

  /** Kept, so that a worker's evidence is verified as seldom as any client does. */
  #client(gateway: string, networkKeys: NonNullable<NetworkFile['networkKeys']>): CloisterClient {
    const known = this.#clients.get(gateway);
    if (known !== undefined) return known;
    const { network, clockMs, receipts, fetch } = this.#components;
    const client = createClient({
      // A founder started from a file that could not name the keys yet; workers start from the one that does.
      network: { ...network, networkKeys },
      gateways: [gateway],
      clockMs,
      receipts,
      ...(fetch === undefined ? {} : { fetch }),
    });
    this.#clients.set(gateway, client);
    return client;
  }

  async #answers(gateway: string, signal: AbortSignal): Promise<boolean> {
    const fetch = this.#components.fetch ?? globalThis.fetch;
    return withDeadline({ timeoutMs: healthTimeoutMs, signal, what: 'A gateway' }, async (inner) => {
      const response = await fetch(`${gateway}/healthz`, { signal: inner, redirect: 'error' });
      await readBounded(response, 4_096);
      return response.ok;
    }).catch(() => false);
  }
}
