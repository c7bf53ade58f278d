import { type SnpDocument, snpEvidenceDocument } from '../../verify/index.ts';
import type { EndorsementSource } from '../collateral/endorsementSource.ts';
import { type AttestationDevice, assertReportData, type EvidenceOptions } from '../device.ts';
import { snpReportFrom } from '../reportBytes.ts';
import { readHostCertificates } from './hostCertificates.ts';
import { assertSameProvider, type TsmRequest } from './tsmReport.ts';
import type { TsmReports } from './tsmReports.ts';

export type TsmSnpDeviceInit = Pick<TsmRequest, 'privilegeLevel'> & {
  readonly name: string;
  readonly reports: TsmReports;
  readonly endorsements: EndorsementSource;
};

/** An SEV-SNP guest, by the kernel's files alone. */
export class TsmSnpDevice implements AttestationDevice {
  readonly name: string;
  readonly kind = 'sev-snp';
  readonly simulated = false;
  readonly provider = 'sev_guest';
  readonly sealsAtRest = false;
  readonly sealing = 'No: the chip derives such keys, but only by calls of native code';
  readonly #init: TsmSnpDeviceInit;

  constructor(init: TsmSnpDeviceInit) {
    this.name = init.name;
    this.#init = init;
  }

  async quote(reportData: Uint8Array, { signal }: EvidenceOptions): Promise<SnpDocument> {
    assertReportData(reportData);
    const asked = reportData.slice();
    const { privilegeLevel, reports, endorsements } = this.#init;
    const answer = await reports.read({ reportData: asked, privilegeLevel }, signal);
    assertSameProvider(answer, this.provider);
    const report = snpReportFrom(answer.outblob, asked, this.name);
    const host = readHostCertificates(answer.auxblob);
    return snpEvidenceDocument(report, await endorsements.endorsementsFor(report, { signal, host }));
  }
}
