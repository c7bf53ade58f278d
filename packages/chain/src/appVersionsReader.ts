import { type Address, type Bytes32, type EnforcedFields, type NetworkFile, zeroBytes32 } from '@cloister/core';
import type { ChainView } from './chainView.ts';
import { appRegistryAbi } from './generated/index.ts';
import { asAppUnknown } from './registryReader.ts';

/** As the contract counts them. */
export const appVersionStates = ['unknown', 'pending', 'serving', 'superseded', 'withdrawn'] as const;

/** A version as it was published. */
export type PublishedVersion = {
  /** From 1. */
  readonly version: number;
  readonly state: (typeof appVersionStates)[number];
  /** Unix seconds from which it serves; zero where it was withdrawn. */
  readonly effectiveAt: bigint;
  readonly manifestId: Bytes32;
  readonly fields: EnforcedFields;
};

/** An app's owner and some of its versions, all at one block. */
export type AppVersions = {
  readonly owner: Address;
  /** How many there are. */
  readonly count: number;
  /** Newest first. */
  readonly versions: readonly PublishedVersion[];
};

/** Reads at once. */
const batch = 16;

/** Every version of an app that the registry keeps, through a {@link ChainView}. */
export class AppVersionsReader {
  readonly view: ChainView;
  readonly #address: Address;

  constructor(view: ChainView, contracts: Pick<NetworkFile['contracts'], 'appRegistry'>) {
    this.view = view;
    this.#address = contracts.appRegistry;
  }

  /**
   * The newest versions, at the newest block on which all RPCs agree. Throws REGISTRY_APP_UNKNOWN.
   * @param limit how many at the most
   */
  async newest(app: Bytes32, limit: number, signal?: AbortSignal): Promise<AppVersions> {
    const { number: block } = await this.view.head(signal);
    try {
      const [owner, count] = await Promise.all([
        this.view.read({ ...this.#at('ownerOf'), args: [app], block }, signal),
        this.view.read({ ...this.#at('versionCount'), args: [app], block }, signal),
      ]);
      const numbers = Array.from({ length: Math.min(limit, count) }, (_, index) => count - index);
      const versions: PublishedVersion[] = [];
      for (let from = 0; from < numbers.length; from += batch)
        versions.push(
          ...(await Promise.all(
            numbers.slice(from, from + batch).map((version) => this.#version(app, version, block, signal)),
          )),
        );
      // Of an app that does not exist the contract counts no version, and says so of each.
      if (count === 0) await this.#version(app, 1, block, signal);
      return { owner: owner.toLowerCase() as Address, count, versions };
    } catch (error) {
      throw asAppUnknown(app, error);
    }
  }

  /** One version; state 'unknown' where it was never published. Throws REGISTRY_APP_UNKNOWN. */
  async version(app: Bytes32, version: number, signal?: AbortSignal): Promise<PublishedVersion> {
    const { number: block } = await this.view.head(signal);
    try {
      return await this.#version(app, version, block, signal);
    } catch (error) {
      throw asAppUnknown(app, error);
    }
  }

  async #version(app: Bytes32, version: number, block: bigint, signal?: AbortSignal): Promise<PublishedVersion> {
    const info = await this.view.read({ ...this.#at('versionOf'), args: [app, version], block }, signal);
    const state = info.manifestId === zeroBytes32 ? 'unknown' : (appVersionStates[info.state] ?? 'unknown');
    const { effectiveAt, manifestId, fields } = info;
    const vetoer = fields.vetoer.toLowerCase() as Address;
    return { version, state, effectiveAt, manifestId, fields: { ...fields, vetoer } };
  }

  #at<const name extends string>(functionName: name) {
    return { address: this.#address, abi: appRegistryAbi, functionName };
  }
}
