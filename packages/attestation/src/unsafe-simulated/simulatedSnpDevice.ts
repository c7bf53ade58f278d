import { type Bytes32, snpImageId, type TdxImage } from '@cloister/core';
import { concatBytes, fromHex, sha384 } from '@cloister/crypto';
import {
  type AttestationDevice,
  type AttestationDriver,
  assertReportData,
  type QuoteOptions,
} from '../attest/device.ts';
import { type SnpDocument, snpEvidenceDocument } from '../verify/evidenceDocument.ts';
import { mintSnpList, mintSnpReport, type SimulatedChip } from './simulatedChip.ts';

export type SimulatedSnpDeviceInit = {
  readonly chip: SimulatedChip;
  /** What a measured boot would measure. */
  readonly image: TdxImage;
  /** The network file's id, reported as HOST_DATA. */
  readonly configId: Bytes32;
  /** Unix seconds. Default: this machine's clock. */
  readonly now?: () => number;
};

/** The name by which configuration asks for it. */
export const simulatedSnpDriverName = 'unsafe-simulated-snp';

/** Lists are dated back: whoever verifies by a chain's clock is a little behind. */
const backdateSeconds = 43_200;
const listSeconds = 30 * 86_400;

/** The launch measurement of a simulated guest, 48 bytes: SHA-384 over all that a simulated TD's registers say of the same files. */
export function simulatedSnpMeasurement({ mrtd, rtmr0, rtmr1, rtmr2 }: TdxImage): Uint8Array {
  return sha384(concatBytes(mrtd, rtmr0, rtmr1, rtmr2));
}

/** The image id of a simulated guest. */
export function simulatedSnpImageId(image: TdxImage): Bytes32 {
  return snpImageId(simulatedSnpMeasurement(image));
}

/** A SEV-SNP guest that is none: reports, certificates and lists have the real form and lead to a root named DEV. It guards nothing. */
export class SimulatedSnpDevice implements AttestationDevice {
  readonly name = simulatedSnpDriverName;
  readonly kind = 'sev-snp';
  readonly simulated = true;
  readonly provider = 'unsafe-simulated';
  readonly sealsAtRest = false;
  readonly sealing = 'No, as the driver of a real guest does not';
  readonly #init: SimulatedSnpDeviceInit;

  constructor(init: SimulatedSnpDeviceInit) {
    this.#init = init;
  }

  /** Evidence over 64 bytes of report data. Throws INVALID_REPORT_DATA. */
  async quote(reportData: Uint8Array, options: QuoteOptions): Promise<SnpDocument> {
    options.signal.throwIfAborted();
    assertReportData(reportData);
    const { chip, image, configId, now = () => Math.floor(Date.now() / 1000) } = this.#init;
    const guest = { measurement: simulatedSnpMeasurement(image), hostData: fromHex(configId), reportData };
    const { ark, ask } = chip.root;
    return snpEvidenceDocument(mintSnpReport(chip, guest), {
      leaf: chip.vcek.certificate,
      intermediate: ask.certificate,
      root: ark.certificate,
      crl: mintSnpList(chip.root, { thisUpdate: now() - backdateSeconds, nextUpdate: now() + listSeconds }),
    });
  }
}

export type SimulatedSnpDriver = Omit<AttestationDriver, 'open'> & {
  open(options: QuoteOptions): Promise<SimulatedSnpDevice>;
};

/** The simulated device as `selectDevice` takes it: here on every machine, chosen only by name. */
export function simulatedSnpDriver(
  init: (options: QuoteOptions) => Promise<SimulatedSnpDeviceInit>,
): SimulatedSnpDriver {
  return {
    name: simulatedSnpDriverName,
    simulated: true,
    about: 'unsafe: a SEV-SNP guest that is none, for development',
    unavailable: async () => undefined,
    open: async (options) => new SimulatedSnpDevice(await init(options)),
  };
}
