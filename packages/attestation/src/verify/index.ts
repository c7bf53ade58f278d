export { type Appraisal, appraise } from './appraise.ts';
export { fromBase64, toBase64 } from './base64.ts';
export { BoundedCache } from './boundedCache.ts';
export type { Claims, PlatformClaims, SgxClaims, TdxClaims } from './claims.ts';
export { type Collateral, readCollateral } from './collateral.ts';
export { AttestationError, type AttestationErrorCode } from './errors.ts';
export {
  type EvidenceDocument,
  evidenceDocument,
  parseEvidence,
  quoteOf,
  serialiseEvidence,
} from './evidenceDocument.ts';
export { EvidenceVerifier, type EvidenceVerifierInit } from './evidenceVerifier.ts';
export type { PckChain } from './pckChain.ts';
export { type AcceptableTcbStatus, type AppraisalPolicy, defaultTcbStatuses, parsePolicy } from './policy.ts';
export { parseQuote, type Quote, type QuoteBody } from './quote.ts';
export { type Refusal, refusalOf } from './refusal.ts';
export { commonNameOf, devPrefix, type Role, type RoleTableName } from './roles.ts';
export {
  intelSgxRoot,
  pinnedRoots,
  spkiSha256,
  type TrustRoot,
  trustRootOfCertificate,
  trustRootOfKey,
} from './roots.ts';
export { type TcbStatus, tcbStatuses } from './tcbStatus.ts';
export { type VerifiedCollateral, type VerifyCollateralOptions, verifyCollateral } from './verifyCollateral.ts';
export { type EvidenceResult, type VerifyEvidenceFileOptions, verifyEvidenceFile } from './verifyEvidenceFile.ts';
export type { VerifyQuoteOptions } from './verifyQuoteChain.ts';
export { verifySgxQuote } from './verifySgxQuote.ts';
export { verifyTdxQuote } from './verifyTdxQuote.ts';
