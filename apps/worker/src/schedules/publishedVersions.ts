import { appRegistryAbi, type ChainLog, type ChainView } from '@cloister/chain';
import type { Address, Bytes32 } from '@cloister/core';

/** A version of an app that was published. */
export type PublishedVersion = {
  readonly app: Bytes32;
  readonly manifestId: Bytes32;
  /** From when on it serves, unless it is withdrawn: unix seconds. */
  readonly effectiveAt: number;
};

/** The versions of all apps of a network, as they are published; which of them serve says the registry. */
export class PublishedVersions {
  readonly #view: Pick<ChainView, 'head' | 'finalized' | 'logsUpTo'>;
  readonly #address: Address;
  /** Up to here, events were given and can't be taken back. */
  #settled = -1n;
  /** Of those after it, the ones that were given. */
  #given = new Set<string>();

  constructor(view: Pick<ChainView, 'head' | 'finalized' | 'logsUpTo'>, appRegistry: Address) {
    this.#view = view;
    this.#address = appRegistry;
  }

  /** Those since the last question; the first time all that there are. Blocks that can still be taken back are read anew each time. Throws ChainError. */
  async next(signal: AbortSignal): Promise<readonly PublishedVersion[]> {
    const head = await this.#view.head(signal);
    const final = await this.#view.finalized(signal);
    const query = { address: this.#address, abi: appRegistryAbi, eventNames: ['VersionPublished'] };
    const logs = await this.#view.logsUpTo({ ...query, fromBlock: this.#settled + 1n }, head, signal);
    const fresh = logs.filter((log) => !this.#given.has(keyOf(log)));
    if (final.number > this.#settled && final.number <= head.number) this.#settled = final.number;
    this.#given = new Set(logs.filter(({ blockNumber }) => blockNumber > this.#settled).map(keyOf));
    return fresh.map(({ args }) => ({
      app: args.app as Bytes32,
      manifestId: args.manifestId as Bytes32,
      effectiveAt: Number(args.effectiveAt),
    }));
  }
}

function keyOf({ args }: ChainLog): string {
  return `${args.app}/${args.version}/${args.manifestId}`;
}
