import { appRegistryAbi, type ChainLog, type ChainView } from '@cloister/chain';
import { type Address, type Bytes32, workloadKinds } from '@cloister/core';

/** A version of an app that was published. */
export type PublishedVersion = {
  readonly app: Bytes32;
  readonly manifestId: Bytes32;
  /** From when on it serves, unless it is withdrawn: unix seconds. */
  readonly effectiveAt: number;
  /** The account that created the app; the app itself where that is no longer known. */
  readonly publisher: Address | Bytes32;
};

/** Apps whose creators are remembered. */
const maxCreators = 65_536;

/** The versions of all functions of a network, as they are published; which of them serve says the registry. */
export class PublishedVersions {
  readonly #view: Pick<ChainView, 'head' | 'finalized' | 'logsUpTo'>;
  readonly #address: Address;
  readonly #creators = new Map<Bytes32, Address>();
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
    const query = { address: this.#address, abi: appRegistryAbi, eventNames: ['AppCreated', 'VersionPublished'] };
    const logs = await this.#view.logsUpTo({ ...query, fromBlock: this.#settled + 1n }, head, signal);
    for (const { eventName, args } of logs) if (eventName === 'AppCreated') this.#remember(args);
    const published = logs.filter(isOfFunction);
    const fresh = published.filter((log) => !this.#given.has(keyOf(log)));
    if (final.number > this.#settled && final.number <= head.number) this.#settled = final.number;
    this.#given = new Set(published.filter(({ blockNumber }) => blockNumber > this.#settled).map(keyOf));
    return fresh.map(({ args }) => ({
      app: args.app as Bytes32,
      manifestId: args.manifestId as Bytes32,
      effectiveAt: Number(args.effectiveAt),
      publisher: this.#creators.get(args.app as Bytes32) ?? (args.app as Bytes32),
    }));
  }

  #remember({ app, owner }: ChainLog['args']): void {
    this.#creators.set(app as Bytes32, owner as Address);
    if (this.#creators.size > maxCreators) this.#creators.delete(this.#creators.keys().next().value as Bytes32);
  }
}

/** Nothing else has schedules; and whoever publishes another kind than his manifest's is refused by every loader. */
function isOfFunction({ eventName, args }: ChainLog): boolean {
  if (eventName !== 'VersionPublished') return false;
  return Number((args.fields as { readonly kind: number }).kind) === workloadKinds.function;
}

function keyOf({ args }: ChainLog): string {
  return `${args.app}/${args.version}/${args.manifestId}`;
}
