import { type Bytes32, mrConfigIdOf } from '@cloister/core';
import type { AttestationDevice, QuoteOptions } from '../attest/device.ts';
import type { Collateral } from '../verify/collateral.ts';
import { type EvidenceDocument, evidenceDocument, quoteOf } from '../verify/evidenceDocument.ts';
import { EvidenceVerifier } from '../verify/evidenceVerifier.ts';
import { type ChainEndorsement, signEndorsement } from './endorseForChain.ts';
import { SimulatedError } from './errors.ts';
import type { MeasuredImage } from './measureImage.ts';
import { mintCollateral } from './mintCollateral.ts';
import { mintQuote } from './mintQuote.ts';
import type { SimulatedPlatform } from './simulatedPlatform.ts';

export type SimulatedTdxDeviceInit = {
  readonly platform: SimulatedPlatform;
  readonly image: Pick<MeasuredImage, 'mrtd' | 'rtmr0' | 'rtmr1' | 'rtmr2'>;
  /** The network file's id, reported as MRCONFIGID. */
  readonly configId: Bytes32;
  /** Unix seconds. Default: this machine's clock. */
  readonly now?: () => number;
  /** How long collateral holds, in seconds; it is made anew when half of that has passed. Default: 30 days. */
  readonly collateralLifetimeSeconds?: number;
};

const defaultLifetimeSeconds = 30 * 86_400;
/** Collateral is dated back, as Intel's is hours old when it is fetched: whoever verifies by a chain's clock is a little behind. */
const backdateSeconds = 43_200;

/**
 * A TDX device that is none: quotes and collateral have the real form and lead to a root named DEV. It guards nothing from
 * anybody, and says so in every certificate.
 */
export class SimulatedTdxDevice implements AttestationDevice {
  readonly name = 'unsafe-simulated-tdx';
  readonly kind = 'tdx';
  readonly simulated = true;
  /** As real sealing would be offered; here it hides nothing. */
  readonly sealsAtRest = true;
  readonly #init: SimulatedTdxDeviceInit;
  readonly #now: () => number;
  readonly #lifetime: number;
  readonly #verifier: EvidenceVerifier;
  #collateral: { readonly value: Collateral; readonly issuedAt: number } | undefined;

  constructor(init: SimulatedTdxDeviceInit) {
    this.#init = init;
    this.#now = init.now ?? (() => Math.floor(Date.now() / 1000));
    this.#lifetime = init.collateralLifetimeSeconds ?? defaultLifetimeSeconds;
    this.#verifier = new EvidenceVerifier({ roots: [init.platform.root.trustRoot], maxCollaterals: 4, maxChains: 4 });
  }

  /** Evidence over 64 bytes of report data. Throws INVALID_REPORT_DATA. */
  async quote(reportData: Uint8Array, options: QuoteOptions): Promise<EvidenceDocument> {
    options.signal.throwIfAborted();
    if (reportData.length !== 64)
      throw new SimulatedError({
        code: 'INVALID_REPORT_DATA',
        message: `Expected 64 bytes of report data, got "${reportData.length}"`,
      });
    const { platform, image, configId } = this.#init;
    const { mrtd, rtmr0, rtmr1, rtmr2 } = image;
    const quote = mintQuote(platform, { mrtd, rtmr0, rtmr1, rtmr2, mrConfigId: mrConfigIdOf(configId), reportData });
    return evidenceDocument(quote, this.#freshCollateral());
  }

  /**
   * What the chain's UnsafeSimulatedVerifier takes in place of this evidence's signatures, good until the evidence expires.
   * Verifies the evidence first: it endorses what holds, of any platform below this root. Throws AttestationError.
   */
  async endorseForChain(evidence: EvidenceDocument, chainId: bigint | number): Promise<ChainEndorsement> {
    const claims = await this.#verifier.verify(evidence, this.#now());
    const { root } = this.#init.platform;
    return signEndorsement(root, quoteOf(evidence), claims.platformId, BigInt(chainId), BigInt(claims.notAfter));
  }

  #freshCollateral(): Collateral {
    const now = this.#now();
    const held = this.#collateral;
    if (held !== undefined && now >= held.issuedAt && now < held.issuedAt + this.#lifetime / 2) return held.value;
    const value = mintCollateral(this.#init.platform.root, {
      issuedAt: now - backdateSeconds,
      lifetimeSeconds: this.#lifetime + backdateSeconds,
    });
    this.#collateral = { value, issuedAt: now };
    return value;
  }
}
