import { type Bytes32, mrConfigIdOf } from '@cloister/core';
import { type AttestationDevice, assertReportData, type QuoteOptions, type RestSealing } from '../attest/device.ts';
import type { Collateral } from '../verify/dcap/collateral.ts';
import { evidenceDocument, type TdxDocument } from '../verify/evidenceDocument.ts';
import type { MeasuredImage } from './measureImage.ts';
import { mintCollateral } from './mintCollateral.ts';
import { mintQuote } from './mintQuote.ts';
import type { SimulatedPlatform } from './simulatedPlatform.ts';
import { simulatedSealing } from './simulatedSealing.ts';

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
  readonly provider = 'unsafe-simulated';
  /** As real sealing would be offered; here it hides nothing. */
  readonly sealsAtRest = true;
  readonly sealing = 'In form only: its keys lie open on the disk';
  readonly atRest: RestSealing;
  readonly #init: SimulatedTdxDeviceInit;
  readonly #now: () => number;
  readonly #lifetime: number;
  #collateral: { readonly value: Collateral; readonly issuedAt: number } | undefined;

  constructor(init: SimulatedTdxDeviceInit) {
    this.#init = init;
    this.atRest = simulatedSealing(init.platform, init.image);
    this.#now = init.now ?? (() => Math.floor(Date.now() / 1000));
    this.#lifetime = init.collateralLifetimeSeconds ?? defaultLifetimeSeconds;
  }

  /** Evidence over 64 bytes of report data. Throws INVALID_REPORT_DATA. */
  async quote(reportData: Uint8Array, options: QuoteOptions): Promise<TdxDocument> {
    options.signal.throwIfAborted();
    assertReportData(reportData);
    const { platform, image, configId } = this.#init;
    const { mrtd, rtmr0, rtmr1, rtmr2 } = image;
    const quote = mintQuote(platform, { mrtd, rtmr0, rtmr1, rtmr2, mrConfigId: mrConfigIdOf(configId), reportData });
    return evidenceDocument(quote, this.#freshCollateral());
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
