export { type Appraisal, type AppraisalContext, appraise } from './appraisal/appraise.ts';
export { type AssuranceLevel, assuranceLevels } from './appraisal/assurance.ts';
export {
  type AcceptableTcbStatus,
  type AppraisalPolicy,
  defaultTcbStatuses,
  parsePolicy,
  type SnpTcbFloor,
} from './appraisal/policy.ts';
export { fromBase64, toBase64 } from './base64.ts';
export { BoundedCache } from './boundedCache.ts';
export { CheckList, type CheckNode } from './checks.ts';
export type {
  Claims,
  ClaimsOf,
  EvidenceClaims,
  NitroClaims,
  PlatformClaims,
  SgxClaims,
  SnpClaims,
  TdxClaims,
} from './claims.ts';
export { type Collateral, readCollateral } from './dcap/collateral.ts';
export type { PckChain } from './dcap/pckChain.ts';
export { parseQuote, type Quote, type QuoteBody } from './dcap/quote.ts';
export { commonNameOf, type Role } from './dcap/roles.ts';
export { type TcbStatus, tcbStatuses } from './dcap/tcbStatus.ts';
export { type VerifiedCollateral, type VerifyCollateralOptions, verifyCollateral } from './dcap/verifyCollateral.ts';
export type { VerifyQuoteOptions } from './dcap/verifyQuoteChain.ts';
export { verifySgxQuote } from './dcap/verifySgxQuote.ts';
export { verifyTdxQuote } from './dcap/verifyTdxQuote.ts';
export { AttestationError, type AttestationErrorCode } from './errors.ts';
export type { DstackClaims, OtherDstackEvent } from './eventLog/dstackClaims.ts';
export { type DstackEvent, parseDstackLog, runtimeEventType } from './eventLog/dstackLog.ts';
export { type RegisterName, type Registers, replay } from './eventLog/registers.ts';
export { replayCcel, replayDstackLog } from './eventLog/replayLog.ts';
export { measuredDigest, runtimeDigest } from './eventLog/runtimeEvent.ts';
export { type MeasuredEvent, type VerifyCcelOptions, verifyCcel } from './eventLog/verifyCcel.ts';
export { type VerifiedDstackLog, verifyDstackLog } from './eventLog/verifyDstackLog.ts';
export {
  type EventLogText,
  type EvidenceDocument,
  evidenceDocument,
  evidenceJson,
  type NitroDocument,
  nitroDocumentOf,
  nitroEvidenceDocument,
  parseEvidence,
  quoteOf,
  type SgxDocument,
  type SnpDocument,
  type SnpParts,
  serialiseEvidence,
  sgxEvidenceDocument,
  snpEvidenceDocument,
  snpPartsOf,
  type TdxDocument,
} from './evidenceDocument.ts';
export { EvidenceVerifier, type EvidenceVerifierInit } from './evidenceVerifier.ts';
export {
  type EmittedEvent,
  type ExpectedGuest,
  type VerifiedGuest,
  verifyGuestAttestation,
} from './guestAttestation.ts';
export { type HclReport, parseHclReport } from './hclReport.ts';
export { type LaunchConfig, launchConfigOf } from './launchConfig.ts';
export { networkPolicy, networkTrustRoots, snpTcbFloors, statedConfigIdOf } from './networkTrust.ts';
export { type VerifyNitroOptions, verifyNitroDocument } from './nitro/verifyNitroDocument.ts';
export { type GpuReport, parseGpuReport } from './nvidia/gpuReport.ts';
export {
  type GpuEvidence,
  type GpuReference,
  type GpuReportClaims,
  type GpuVersions,
  type VerifyGpuReportOptions,
  verifyGpuReport,
} from './nvidia/verifyGpuReport.ts';
export {
  gpuEvidenceJson,
  gpuNonceOf,
  readGpuEvidence,
  type VerifyGpusOptions,
  verifyGpusOf,
} from './nvidia/verifyGpusOf.ts';
export { type Refusal, refusalOf } from './refusal.ts';
export {
  amdRoots,
  awsNitroRoot,
  devPrefix,
  intelSgxRoot,
  nvidiaDeviceRoot,
  pinnedRoots,
  type RoleTableName,
  spkiSha256,
  type TrustRoot,
  trustRootOfCertificate,
  trustRootOfKey,
  trustRootOfSpki,
  type Vendor,
} from './roots.ts';
export { type RuntimeData, type VerifyRuntimeDataOptions, verifyRuntimeData } from './runtimeData.ts';
export { productOfCpuid, type SnpProduct, snpProducts } from './snp/product.ts';
export type { SnpTcb } from './snp/tcb.ts';
export {
  type SnpCertificates,
  type VerifiedSnpKey,
  type VerifySnpKeyOptions,
  verifySnpKey,
} from './snp/verifySnpKey.ts';
export { type VerifySnpReportOptions, verifySnpReport } from './snp/verifySnpReport.ts';
export type { GpuClaims } from './token/gpuClaims.ts';
export { readTokenKeys, type TokenAlgorithm, type TokenKey } from './token/tokenKeys.ts';
export { nvidiaIssuer, type VerifyGpuTokensOptions, verifyGpuTokens } from './token/verifyGpuTokens.ts';
export { type VerifiedToken, type VerifyTokenOptions, verifyToken } from './token/verifyToken.ts';
export { type EvidenceResult, type VerifyEvidenceFileOptions, verifyEvidenceFile } from './verifyEvidenceFile.ts';
