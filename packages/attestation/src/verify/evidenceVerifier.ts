import { concatBytes, sha256, utf8 } from '@cloister/crypto';
import { BoundedCache } from './boundedCache.ts';
import { type CheckList, check } from './checks.ts';
import type { Claims, ClaimsOf, NitroClaims, SgxClaims, SnpClaims, TdxClaims } from './claims.ts';
import { type Collateral, collateralKeys, readCollateral } from './dcap/collateral.ts';
import type { PckChain } from './dcap/pckChain.ts';
import { type VerifiedCollateral, verifyCollateral } from './dcap/verifyCollateral.ts';
import { verifySgxQuote } from './dcap/verifySgxQuote.ts';
import { verifyTdxQuote } from './dcap/verifyTdxQuote.ts';
import { verifyEventLog } from './eventLogOf.ts';
import {
  type EvidenceDocument,
  nitroDocumentOf,
  quoteOf,
  type SgxDocument,
  type SnpDocument,
  type SnpParts,
  snpPartsOf,
  type TdxDocument,
} from './evidenceDocument.ts';
import { verifyNitroDocument } from './nitro/verifyNitroDocument.ts';
import { assertRoots, type TrustRoot } from './roots.ts';
import { type VerifiedSnpKey, verifySnpKey } from './snp/verifySnpKey.ts';
import { verifySnpReport } from './snp/verifySnpReport.ts';
import { hexOf } from './x509/der.ts';

export type EvidenceVerifierInit = {
  /** All real or all simulated, of any vendors. */
  readonly roots: readonly TrustRoot[];
  /** How many different collaterals stay verified. Each holds its CRLs: some tens of kB. Default 32. */
  readonly maxCollaterals?: number;
  /** How many platforms' certificate chains stay verified, some kB each: of Intel's and of AMD's. Default 1024. */
  readonly maxChains?: number;
  /** How old a Nitro document may be, in seconds. Default: as `verifyNitroDocument`. */
  readonly nitroMaxAgeSeconds?: number | undefined;
};

/**
 * Verifies evidence document after evidence document under the same roots, and remembers what was signed: collateral and
 * platform chains by the hash of their bytes, within bounds. Dates and revocation are checked every time. Nitro documents
 * bring short-lived chains of their own: nothing of them is remembered.
 */
export class EvidenceVerifier {
  readonly #roots: readonly TrustRoot[];
  readonly #nitroMaxAgeSeconds: number | undefined;
  readonly #collaterals: BoundedCache<VerifiedCollateral>;
  readonly #chains: BoundedCache<PckChain>;
  readonly #snpKeys: BoundedCache<VerifiedSnpKey>;

  /** Throws ROOTS_INVALID. */
  constructor(init: EvidenceVerifierInit) {
    assertRoots(init.roots);
    this.#roots = [...init.roots];
    this.#nitroMaxAgeSeconds = init.nitroMaxAgeSeconds;
    this.#collaterals = new BoundedCache(init.maxCollaterals ?? 32);
    this.#chains = new BoundedCache(init.maxChains ?? 1024);
    this.#snpKeys = new BoundedCache(init.maxChains ?? 1024);
  }

  /**
   * The claims of an evidence document at `now` (Unix seconds); an event log in it has been replayed. `appraise` must follow.
   * @param checks takes down what is checked; what was verified before, by the same bytes, is noted as such
   * Throws AttestationError.
   */
  async verify<Document extends EvidenceDocument>(
    document: Document,
    now: number,
    checks?: CheckList,
  ): Promise<ClaimsOf<Document>> {
    return (await this.#verify(document, now, checks)) as ClaimsOf<Document>;
  }

  async #verify(document: EvidenceDocument, now: number, checks: CheckList | undefined): Promise<Claims> {
    switch (document.teeType) {
      case 'tdx': {
        const claims = await this.#verifyQuote(document, now, checks);
        if (document.eventLog !== undefined) verifyEventLog(document.eventLog, claims, checks);
        return claims;
      }
      case 'sgx':
        return this.#verifyQuote(document, now, checks);
      case 'sev-snp':
        return this.#verifySnp(document, now, checks);
      case 'nitro':
        return this.#verifyNitro(nitroDocumentOf(document), now, checks);
    }
  }

  async #verifyQuote(document: TdxDocument, now: number, checks: CheckList | undefined): Promise<TdxClaims>;
  async #verifyQuote(document: SgxDocument, now: number, checks: CheckList | undefined): Promise<SgxClaims>;
  async #verifyQuote(
    document: TdxDocument | SgxDocument,
    now: number,
    checks: CheckList | undefined,
  ): Promise<TdxClaims | SgxClaims> {
    const quote = quoteOf(document);
    const collateral = await check(checks, 'collateral', "Intel's collateral holds", (inner) =>
      this.#collateral(document.collateral, now, inner),
    );
    const verify = document.teeType === 'tdx' ? verifyTdxQuote : verifySgxQuote;
    return check(checks, 'quote', 'The quote holds', (inner) =>
      verify(quote, collateral, { now, chains: this.#chains, checks: inner }),
    );
  }

  async #collateral(untrusted: Collateral, now: number, checks: CheckList | undefined): Promise<VerifiedCollateral> {
    const collateral = readCollateral(untrusted);
    const key = hexOf(
      sha256(utf8(collateralKeys.map((name) => `${collateral[name].length}:${collateral[name]}`).join(''))),
    );
    return this.#once(this.#collaterals, key, checks, () =>
      verifyCollateral(collateral, { roots: this.#roots, now, checks }),
    );
  }

  async #verifySnp(document: SnpDocument, now: number, checks: CheckList | undefined): Promise<SnpClaims> {
    const parts = snpPartsOf(document);
    const key = await check(checks, 'certificates', "AMD's certificates of the signing key hold", (inner) =>
      this.#once(this.#snpKeys, snpCacheKey(parts), inner, () =>
        verifySnpKey(parts, { roots: this.#roots, now, checks: inner }),
      ),
    );
    return check(checks, 'report', 'The report holds', (inner) =>
      verifySnpReport(parts.report, key, { now, checks: inner }),
    );
  }

  #verifyNitro(document: Uint8Array, now: number, checks: CheckList | undefined): Promise<NitroClaims> {
    return check(checks, 'document', "The Nitro hypervisor's document holds", (inner) =>
      verifyNitroDocument(document, {
        roots: this.#roots,
        now,
        maxAgeSeconds: this.#nitroMaxAgeSeconds,
        checks: inner,
      }),
    );
  }

  /** What stands in the cache, or what `verify` gives, which then does. */
  async #once<Value>(
    cache: BoundedCache<Value>,
    key: string,
    checks: CheckList | undefined,
    verify: () => Promise<Value>,
  ): Promise<Value> {
    const known = cache.get(key);
    if (known !== undefined) {
      checks?.note('verified before: the same bytes, under the same roots');
      return known;
    }
    const verified = await verify();
    cache.set(key, verified);
    return verified;
  }
}

/** Covers everything that `verifySnpKey` reads; lengths first, so that no two sets of parts run into the same bytes. */
function snpCacheKey({ leaf, intermediate, root, crl }: SnpParts): string {
  const parts = [leaf, intermediate, root, crl];
  return hexOf(sha256(concatBytes(utf8(parts.map(({ length }) => `${length}:`).join('')), ...parts)));
}
