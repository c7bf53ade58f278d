export { SimulatedError, type SimulatedErrorCode } from './errors.ts';
export {
  type CertificateSpec,
  type CrlSpec,
  extension,
  issueCertificate,
  issueCrl,
  toPem,
} from './issueCertificate.ts';
export {
  digestOfFiles,
  extendRtmr,
  type FileSet,
  type ImageFiles,
  type MeasuredImage,
  measureImage,
} from './measureImage.ts';
export {
  bareHex,
  type JsonObject,
  type MintCollateralOptions,
  mintCollateral,
  signDocument,
  simulatedQe,
} from './mintCollateral.ts';
export { type MintQuoteOptions, mintQuote, signedPartLength, type TdMeasurements } from './mintQuote.ts';
export { exportP256Key, generateP256Key, importP256Key, type P256Key, signP256 } from './p256Key.ts';
export { type PlatformTcb, sgxExtension } from './sgxExtension.ts';
export {
  makeSimulatedChip,
  makeSimulatedSnpRoot,
  type SimulatedChip,
  type SimulatedSnpRoot,
} from './simulatedChip.ts';
export { createSimulatedRoot, loadSimulatedRoot, openSimulatedPlatform } from './simulatedFiles.ts';
export {
  createSimulatedPlatform,
  type SimulatedPlatform,
  type SimulatedPlatformOptions,
  simulatedTcb,
} from './simulatedPlatform.ts';
export {
  type CertifiedKey,
  makeSimulatedRoot,
  randomSerial,
  type SimulatedRoot,
  signsCertificates,
  signsData,
} from './simulatedRoot.ts';
export {
  SimulatedSnpDevice,
  type SimulatedSnpDeviceInit,
  type SimulatedSnpDriver,
  simulatedSnpDriver,
  simulatedSnpDriverName,
  simulatedSnpImageId,
} from './simulatedSnpDevice.ts';
export { createSimulatedSnpRoot, loadSimulatedSnpRoot, openSimulatedChip } from './simulatedSnpFiles.ts';
export { SimulatedTdxDevice, type SimulatedTdxDeviceInit } from './simulatedTdxDevice.ts';
export { type SimulatedTdxDriver, simulatedTdxDriver, simulatedTdxDriverName } from './simulatedTdxDriver.ts';
