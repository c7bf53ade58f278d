import { toHex } from '@cloister/crypto';
import { BoundedCache } from '../../verify/index.ts';
import type { HostCertificates } from '../tsm/hostCertificates.ts';
import { waitFor } from '../waiting.ts';
import { CollateralError } from './collateralError.ts';
import type { EndorsementFetcher, SnpEndorsements } from './kdsFetcher.ts';
import { type SnpQuery, snpQueryOf } from './snpQuery.ts';

export type EndorsementOptions = {
  readonly signal: AbortSignal;
  /** What the host handed over with the report. */
  readonly host?: HostCertificates | undefined;
};

/** What gives the certificates and the revocation list of an SNP report. */
export type EndorsementSource = {
  /**
   * Endorsements that hold now and under which this report verifies. Throws CollateralError where none can be had, and
   * AttestationError where what was had does not hold.
   */
  readonly endorsementsFor: (report: Uint8Array, options: EndorsementOptions) => Promise<SnpEndorsements>;
};

/** Verifies a report with its endorsements at a time in Unix seconds; until when they hold. Throws AttestationError. */
export type VerifyEndorsements = (
  report: Uint8Array,
  endorsements: SnpEndorsements,
  now: number,
) => Promise<{ readonly notAfter: number }>;

export type EndorsementSourceInit = {
  /** Asked in this order; the first whose endorsements hold is taken. */
  readonly fetchers: readonly EndorsementFetcher[];
  readonly verify: VerifyEndorsements;
  /** Unix seconds. Default: this machine's clock. */
  readonly now?: (() => number) | undefined;
  /** After this time they are fetched anew, for the list. Default: 1 day: AMD's lists hold for months. */
  readonly freshSeconds?: number | undefined;
  /** For all fetchers of one attempt together. Default: 120 s, as AMD's service makes its clients wait. */
  readonly timeoutMs?: number | undefined;
  /** How many chips and versions are remembered. Default: 16; a machine has one. */
  readonly maxRemembered?: number | undefined;
};

type Remembered = { readonly endorsements: SnpEndorsements; readonly fetchedAt: number };

/**
 * Endorsements from untrusted fetchers, by the rules of `collateralSource`: verified together with the report before they are
 * used or remembered, used beyond their freshness only where no newer ones can be had, and never longer than they hold.
 */
export function endorsementSource(init: EndorsementSourceInit): EndorsementSource {
  const { fetchers, verify, now = () => Math.floor(Date.now() / 1000) } = init;
  const { freshSeconds = 86_400, timeoutMs = 120_000 } = init;
  const remembered = new BoundedCache<Remembered>(init.maxRemembered ?? 16);

  /** Remembered ones, if this very report verifies under them now. */
  async function stillHolding(key: string, report: Uint8Array): Promise<Remembered | undefined> {
    const known = remembered.get(key);
    if (known === undefined || now() < known.fetchedAt) return undefined;
    try {
      await verify(report, known.endorsements, now());
      return known;
    } catch {
      // Expired, or of another key than it seemed: fetched anew, with the reason if that fails too.
      return undefined;
    }
  }

  async function fetchVerified(report: Uint8Array, query: SnpQuery, options: EndorsementOptions): Promise<Remembered> {
    const failures: unknown[] = [];
    for (const fetcher of fetchers) {
      try {
        const endorsements = await fetcher.fetch(query, options);
        const fetchedAt = now();
        await verify(report, endorsements, fetchedAt);
        return { endorsements, fetchedAt };
      } catch (error) {
        options.signal.throwIfAborted();
        failures.push(error);
      }
    }
    if (failures.length === 1) throw failures[0];
    throw new CollateralError({
      code: 'COLLATERAL_UNAVAILABLE',
      message: `Found endorsements of this SNP report nowhere (asked ${fetchers.map(({ name }) => `"${name}"`).join(', ') || 'nobody'})`,
      hint: "Name AMD's key service or a cache of it",
      cause: new AggregateError(failures),
    });
  }

  return {
    async endorsementsFor(report, options) {
      const { signal } = options;
      signal.throwIfAborted();
      const query = snpQueryOf(report);
      const key = `${query.signer}:${toHex(query.chipId)}:${toHex(query.reportedTcb)}`;
      const known = await stillHolding(key, report);
      if (known !== undefined && now() < known.fetchedAt + freshSeconds) return known.endorsements;
      try {
        const fetching = fetchVerified(report, query, {
          ...options,
          signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
        });
        const fetched = await waitFor(fetching, { signal, timeoutMs, what: 'The endorsements' });
        remembered.set(key, fetched);
        return fetched.endorsements;
      } catch (error) {
        signal.throwIfAborted();
        if (known !== undefined) return known.endorsements;
        throw error;
      }
    },
  };
}
