import {
  BoundedCache,
  type Collateral,
  type TrustRoot,
  type VerifiedCollateral,
  verifyCollateral,
} from '../../verify/index.ts';
import { waitFor } from '../waiting.ts';
import { CollateralError } from './collateralError.ts';
import { type CollateralFetcher, type CollateralQuery, collateralQueryOf } from './collateralQuery.ts';

/** What gives the collateral of a quote. */
export type CollateralSource = {
  /**
   * Collateral that holds now and is of this quote's platform. Throws CollateralError where none can be had, and
   * AttestationError where what was had does not hold.
   */
  readonly collateralFor: (quote: Uint8Array, options: { readonly signal: AbortSignal }) => Promise<Collateral>;
};

export type CollateralSourceInit = {
  /** Asked in this order; the first whose collateral holds is taken. */
  readonly fetchers: readonly CollateralFetcher[];
  readonly roots: readonly TrustRoot[];
  /** Unix seconds. Default: this machine's clock. */
  readonly now?: (() => number) | undefined;
  /** After this time it is fetched anew. Default: 1 hour. */
  readonly freshSeconds?: number | undefined;
  /** For all fetchers of one attempt together. Default: 60 s. */
  readonly timeoutMs?: number | undefined;
  /** How many kinds of platform are remembered. Default: 16; a machine has one. */
  readonly maxRemembered?: number | undefined;
};

type Remembered = {
  readonly collateral: Collateral;
  readonly verified: VerifiedCollateral;
  readonly fetchedAt: number;
};

/**
 * Collateral from untrusted fetchers: everything is verified up to the roots before it is used or remembered. It is
 * remembered until something in it expires; when it is no longer fresh and nobody gives a newer one, it is used as long as
 * it holds, and never longer. What a fetcher gives never replaces something newer.
 */
export function collateralSource(init: CollateralSourceInit): CollateralSource {
  const { fetchers, roots, now = () => Math.floor(Date.now() / 1000), freshSeconds = 3600, timeoutMs = 60_000 } = init;
  const remembered = new BoundedCache<Remembered>(init.maxRemembered ?? 16);
  const running = new Map<string, Promise<Remembered>>();

  async function collateralFor(quote: Uint8Array, { signal }: { readonly signal: AbortSignal }): Promise<Collateral> {
    signal.throwIfAborted();
    const query = collateralQueryOf(quote);
    const key = `${query.teeType}:${query.fmspc}:${query.ca}`;
    const known = remembered.get(key);
    const at = now();
    const holds = known !== undefined && at >= known.fetchedAt && at <= known.verified.notAfter;
    if (holds && at < known.fetchedAt + freshSeconds) return known.collateral;
    try {
      const fetching = running.get(key) ?? startFetch(key, query);
      return (await waitFor(fetching, { signal, timeoutMs, what: 'The collateral' })).collateral;
    } catch (error) {
      signal.throwIfAborted();
      if (holds) return known.collateral;
      throw error;
    }
  }

  /** One fetch for everyone who asks meanwhile; it is nobody's to abort. */
  function startFetch(key: string, query: CollateralQuery): Promise<Remembered> {
    const fetching = fetchVerified(query, AbortSignal.timeout(timeoutMs))
      .then((fetched) => {
        const known = remembered.get(key);
        const kept =
          known !== undefined && isNewer(known, fetched) ? { ...known, fetchedAt: fetched.fetchedAt } : fetched;
        remembered.set(key, kept);
        return kept;
      })
      .finally(() => running.delete(key));
    running.set(key, fetching);
    return fetching;
  }

  async function fetchVerified(query: CollateralQuery, signal: AbortSignal): Promise<Remembered> {
    const failures: unknown[] = [];
    for (const fetcher of fetchers) {
      try {
        const collateral = await fetcher.fetch(query, { signal });
        const fetchedAt = now();
        const verified = await verifyCollateral(collateral, { roots, now: fetchedAt });
        assertOfPlatform(verified, query, fetcher.name);
        return { collateral, verified, fetchedAt };
      } catch (error) {
        failures.push(error);
        if (signal.aborted) break;
      }
    }
    if (failures.length === 1) throw failures[0];
    throw new CollateralError({
      code: 'COLLATERAL_UNAVAILABLE',
      message: `Found collateral of the platform "${query.fmspc}" nowhere (asked ${fetchers.map(({ name }) => `"${name}"`).join(', ') || 'nobody'})`,
      hint: 'Name a collateral service or a file of collateral',
      cause: new AggregateError(failures),
    });
  }

  return { collateralFor };
}

/** Both hold at this moment; the later TCB info or CRL knows more. */
function isNewer(known: Remembered, fetched: Remembered): boolean {
  const issued = ({ verified }: Remembered): number[] => [
    verified.tcbInfo.validity.notBefore,
    verified.qeIdentity.validity.notBefore,
    verified.pckCrl.validity.notBefore,
    verified.rootCrl.validity.notBefore,
  ];
  const fresh = issued(fetched);
  return (
    fetched.fetchedAt <= known.verified.notAfter &&
    issued(known).some((notBefore, index) => notBefore > (fresh[index] ?? 0))
  );
}

/** Collateral of another platform or TEE is signed just as well. */
function assertOfPlatform(verified: VerifiedCollateral, query: CollateralQuery, from: string): void {
  const { tcbInfo, pckCa } = verified;
  const teeType = tcbInfo.id === 'TDX' ? 'tdx' : 'sgx';
  const checks = [
    ['FMSPC', query.fmspc, tcbInfo.fmspc.toLowerCase()],
    ['TEE type', query.teeType, teeType],
    ['PCK CA', query.ca, pckCa.commonName.endsWith(' PCK Platform CA') ? 'platform' : 'processor'],
  ] as const;
  for (const [what, expected, got] of checks)
    if (got !== expected)
      throw new CollateralError({
        code: 'COLLATERAL_MISMATCH',
        message: `Expected collateral of the ${what} "${expected}" from "${from}", got "${got}"`,
        meta: { what, expected, got },
      });
}
