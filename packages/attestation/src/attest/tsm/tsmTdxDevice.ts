import { evidenceDocument, type TdxDocument } from '../../verify/index.ts';
import { type CcelPaths, readCcel } from '../ccel.ts';
import type { CollateralSource } from '../collateral/collateralSource.ts';
import { type AttestationDevice, assertReportData, type EvidenceOptions } from '../device.ts';
import { DeviceError } from '../deviceError.ts';
import { readTdxRegisters, type TdxRegisters } from '../registers.ts';
import { replayedLog } from '../replayedLog.ts';
import { tdxQuoteFrom } from '../reportBytes.ts';
import { type SystemFiles, systemFiles } from '../systemFiles.ts';
import { assertSameProvider } from './tsmReport.ts';
import type { TsmReports } from './tsmReports.ts';

export type TsmTdxDeviceInit = {
  readonly name: string;
  readonly reports: TsmReports;
  readonly collateral: CollateralSource;
  readonly files?: SystemFiles | undefined;
  readonly ccel?: CcelPaths | undefined;
  readonly registersFolder?: string | undefined;
};

/** A TD, by the kernel's files alone. */
export class TsmTdxDevice implements AttestationDevice {
  readonly name: string;
  readonly kind = 'tdx';
  readonly simulated = false;
  readonly provider = 'tdx_guest';
  readonly sealsAtRest = false;
  readonly sealing = 'No: a TD has no key of its own that outlives it';
  readonly #init: TsmTdxDeviceInit;
  readonly #files: SystemFiles;

  constructor(init: TsmTdxDeviceInit) {
    this.name = init.name;
    this.#init = init;
    this.#files = init.files ?? systemFiles;
  }

  async quote(reportData: Uint8Array, { signal, eventLog = false }: EvidenceOptions): Promise<TdxDocument> {
    assertReportData(reportData);
    const asked = reportData.slice();
    const report = await this.#init.reports.read({ reportData: asked }, signal);
    assertSameProvider(report, this.provider);
    const quote = tdxQuoteFrom(report.outblob, asked, this.name);
    const collateral = await this.#init.collateral.collateralFor(quote, { signal });
    return evidenceDocument(quote, collateral, eventLog ? await this.#eventLog(quote) : undefined);
  }

  /** The registers as the kernel shows them; undefined before Linux 6.16. */
  registers(): Promise<TdxRegisters | undefined> {
    return readTdxRegisters(this.#files, this.#init.registersFolder);
  }

  /** Evidence holds without it, so a log that can't be read is left out like one that does not replay. */
  async #eventLog(quote: Uint8Array) {
    try {
      const log = await readCcel(this.#files, this.#init.ccel);
      return log === undefined ? undefined : replayedLog(log, quote);
    } catch (error) {
      if (error instanceof DeviceError) return undefined;
      throw error;
    }
  }
}
