import type { CollateralSource } from '../collateral/collateralSource.ts';
import type { EndorsementSource } from '../collateral/endorsementSource.ts';
import type { AttestationDriver, Unavailable } from '../device.ts';
import { DeviceError } from '../deviceError.ts';
import { systemFiles } from '../systemFiles.ts';
import type { TsmRequest } from './tsmReport.ts';
import { TsmReports, type TsmReportsInit, tsmReportFolder } from './tsmReports.ts';
import { TsmSnpDevice } from './tsmSnpDevice.ts';
import { TsmTdxDevice, type TsmTdxDeviceInit } from './tsmTdxDevice.ts';
import { whyNoEntry, whyNoReportFolder } from './tsmUnavailable.ts';

export type TsmDriverInit = TsmReportsInit &
  Pick<TsmTdxDeviceInit, 'ccel' | 'registersFolder'> &
  Pick<TsmRequest, 'privilegeLevel'> & {
    /** What stands beside a TDX quote. */
    readonly collateral: CollateralSource;
    /** What stands beside an SNP report. Without it an SNP guest is no machine for this driver. */
    readonly endorsements?: EndorsementSource | undefined;
  };

/** The name by which configuration asks for it. */
export const tsmDriverName = 'configfs-tsm';

/** TDX and SEV-SNP guests on Linux 6.7 and later, by files of the kernel alone; the kernel's provider says which it is. */
export function tsmDriver(init: TsmDriverInit): AttestationDriver {
  const files = init.files ?? systemFiles;
  const reports = new TsmReports(init);
  return {
    name: tsmDriverName,
    simulated: false,
    about: 'TDX and SEV-SNP guests on Linux 6.7 or later',
    async unavailable({ signal }) {
      if (!(await files.exists(init.reportFolder ?? tsmReportFolder))) return whyNoReportFolder(files);
      try {
        const provider = await reports.provider(signal);
        return provider === 'sev_guest' && init.endorsements === undefined ? noEndorsements : undefined;
      } catch (error) {
        signal.throwIfAborted();
        return whyNoEntry(error);
      }
    },
    async open({ signal }) {
      const provider = await reports.provider(signal);
      const common = { ...init, name: tsmDriverName, reports };
      if (provider === 'tdx_guest') return new TsmTdxDevice(common);
      const { endorsements } = init;
      if (endorsements !== undefined) return new TsmSnpDevice({ ...common, endorsements });
      throw new DeviceError({ code: 'DEVICE_UNSUPPORTED', message: `Found ${noEndorsements.reason}` });
    },
  };
}

const noEndorsements: Unavailable = {
  code: 'NOT_THIS_MACHINE',
  reason: 'an SEV-SNP guest, and no source of the endorsements of its reports',
};
