export { type CcelPaths, ccelPaths, readCcel } from './ccel.ts';
export type { BoundedFetchInit } from './collateral/boundedFetch.ts';
export { CollateralError, type CollateralErrorCode } from './collateral/collateralError.ts';
export { type CollateralFetcher, type CollateralQuery, collateralQueryOf } from './collateral/collateralQuery.ts';
export { type CollateralSource, type CollateralSourceInit, collateralSource } from './collateral/collateralSource.ts';
export {
  type EndorsementOptions,
  type EndorsementSource,
  type EndorsementSourceInit,
  endorsementSource,
  type VerifyEndorsements,
} from './collateral/endorsementSource.ts';
export { fileFetcher } from './collateral/fileFetcher.ts';
export {
  amdKdsUrl,
  type EndorsementFetcher,
  type KdsFetcherInit,
  kdsFetcher,
  type SnpEndorsements,
} from './collateral/kdsFetcher.ts';
export { intelPcsUrl, type PccsFetcherInit, pccsFetcher } from './collateral/pccsFetcher.ts';
export { publishedFetcher, type ReadPublished } from './collateral/publishedFetcher.ts';
export { type SnpProduct, type SnpQuery, snpQueryOf } from './collateral/snpQuery.ts';
export {
  type AttestationDevice,
  type AttestationDriver,
  assertReportData,
  type EvidenceOptions,
  type QuoteOptions,
  type RestSealing,
  type Unavailable,
  type UnavailableCode,
} from './device.ts';
export { DeviceError, type DeviceErrorCode } from './deviceError.ts';
export { DstackAgent, type DstackAgentInit, type DstackInfo, type DstackQuote } from './dstack/dstackAgent.ts';
export {
  DstackDevice,
  type DstackDriverInit,
  dstackDriver,
  dstackDriverName,
  dstackSockets,
} from './dstack/dstackDriver.ts';
export {
  type CollateralPlaces,
  collateralFetchers,
  type MachineDriversInit,
  machineDrivers,
} from './machineDrivers.ts';
export { readTdxRegisters, registersFolder, type TdxRegisters } from './registers.ts';
export {
  chooseDriver,
  type SelectDeviceOptions,
  type SurveyedDriver,
  selectDevice,
  surveyDevices,
} from './selectDevice.ts';
export { type SystemFiles, systemFiles } from './systemFiles.ts';
export { type TsmDriverInit, tsmDriver, tsmDriverName } from './tsm/tsmDriver.ts';
export { TsmSnpDevice, type TsmSnpDeviceInit } from './tsm/tsmSnpDevice.ts';
export { TsmTdxDevice, type TsmTdxDeviceInit } from './tsm/tsmTdxDevice.ts';
