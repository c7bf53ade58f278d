import { type SnpDocument, snpPartsOf, type TrustRoot, verifySnpKey } from '@cloister/attestation/verify';
import type { Bytes32 } from '@cloister/core';
import { ResultRefusedError } from './resultErrors.ts';

/** Seconds after which everybody has had the time to fetch a new list. */
const graceSeconds = 2 * 86_400;

/** By the chain's clock, Unix seconds. */
type Newest = { readonly thisUpdate: number; readonly since: number };

/**
 * AMD's revocation lists hold for months, and whoever is revoked would go on showing the one from before. So the newest list that
 * anybody has shown is remembered for each root, and older ones are refused once it has been known for two days.
 */
export class ListWatch {
  readonly #roots: readonly TrustRoot[];
  readonly #newest = new Map<Bytes32, Newest>();

  constructor(roots: readonly TrustRoot[]) {
    this.#roots = roots;
  }

  /** Throws RESULT_LIST_SUPERSEDED, and AttestationError where certificates and list don't hold. @param now Unix seconds */
  async assertNewest(document: SnpDocument, now: number): Promise<void> {
    const { trustRoot, validities } = await verifySnpKey(snpPartsOf(document), { roots: this.#roots, now });
    const thisUpdate = validities.find(({ place }) => place === 'crl')?.notBefore ?? 0;
    const newest = this.#newest.get(trustRoot.spkiSha256);
    if (newest === undefined || thisUpdate > newest.thisUpdate)
      this.#newest.set(trustRoot.spkiSha256, { thisUpdate, since: now });
    else if (thisUpdate < newest.thisUpdate && now > newest.since + graceSeconds)
      throw new ResultRefusedError(
        'RESULT_LIST_SUPERSEDED',
        `The revocation list is of "${thisUpdate}"; one of "${newest.thisUpdate}" has been there since "${newest.since}"`,
      );
  }
}
