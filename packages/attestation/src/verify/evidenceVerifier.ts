import { sha256, utf8 } from '@cloister/crypto';
import { BoundedCache } from './boundedCache.ts';
import type { TdxClaims } from './claims.ts';
import { type Collateral, collateralKeys, readCollateral } from './collateral.ts';
import { hexOf } from './der.ts';
import { type EvidenceDocument, quoteOf } from './evidenceDocument.ts';
import type { PckChain } from './pckChain.ts';
import { assertRoots, type TrustRoot } from './roots.ts';
import { type VerifiedCollateral, verifyCollateral } from './verifyCollateral.ts';
import { verifyTdxQuote } from './verifyTdxQuote.ts';

export type EvidenceVerifierInit = {
  /** All real or all simulated. */
  readonly roots: readonly TrustRoot[];
  /** How many different collaterals stay verified. Each holds its CRLs: some tens of kB. Default 32. */
  readonly maxCollaterals?: number;
  /** How many platforms' certificate chains stay verified, some kB each. Default 1024. */
  readonly maxChains?: number;
};

/**
 * Verifies evidence document after evidence document under the same roots, and remembers what was signed: collateral and
 * platform chains by the hash of their bytes, within bounds. Dates and revocation are checked every time.
 */
export class EvidenceVerifier {
  readonly #roots: readonly TrustRoot[];
  readonly #collaterals: BoundedCache<VerifiedCollateral>;
  readonly #chains: BoundedCache<PckChain>;

  /** Throws ROOTS_INVALID. */
  constructor(init: EvidenceVerifierInit) {
    assertRoots(init.roots);
    this.#roots = [...init.roots];
    this.#collaterals = new BoundedCache(init.maxCollaterals ?? 32);
    this.#chains = new BoundedCache(init.maxChains ?? 1024);
  }

  /**
   * The claims of an evidence document at `now` (Unix seconds). `appraise` must follow. Throws AttestationError.
   */
  async verify(document: EvidenceDocument, now: number): Promise<TdxClaims> {
    const quote = quoteOf(document);
    const collateral = await this.#collateral(document.collateral, now);
    return verifyTdxQuote(quote, collateral, { now, chains: this.#chains });
  }

  async #collateral(untrusted: Collateral, now: number): Promise<VerifiedCollateral> {
    const collateral = readCollateral(untrusted);
    const key = hexOf(
      sha256(utf8(collateralKeys.map((name) => `${collateral[name].length}:${collateral[name]}`).join(''))),
    );
    const known = this.#collaterals.get(key);
    if (known !== undefined) return known;
    const verified = await verifyCollateral(collateral, { roots: this.#roots, now });
    this.#collaterals.set(key, verified);
    return verified;
  }
}
