import { describeError } from '@cloister/core';
import type { Collateral } from '../../verify/index.ts';
import { CollateralError } from './collateralError.ts';
import type { CollateralFetcher, CollateralQuery } from './collateralQuery.ts';

/** Looks up what was published for a platform, as from a contract's events; undefined where nothing was. */
export type ReadPublished = (
  query: CollateralQuery,
  options: { readonly signal: AbortSignal },
) => Promise<Collateral | undefined>;

/** Collateral that others published, such as on a chain. @param name for messages: where that is */
export function publishedFetcher(name: string, read: ReadPublished): CollateralFetcher {
  return {
    name,
    async fetch(query, { signal }) {
      let published: Collateral | undefined;
      try {
        published = await read(query, { signal });
      } catch (cause) {
        signal.throwIfAborted();
        throw new CollateralError({
          code: 'COLLATERAL_UNAVAILABLE',
          message: `Could not read collateral from "${name}": ${describeError(cause)}`,
          cause,
        });
      }
      if (published !== undefined) return published;
      throw new CollateralError({
        code: 'COLLATERAL_UNKNOWN_PLATFORM',
        message: `Found no collateral of the ${query.teeType} platform "${query.fmspc}" in "${name}"`,
        hint: 'Publish it, or name a collateral service',
      });
    },
  };
}
