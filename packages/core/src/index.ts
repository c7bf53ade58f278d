export {
  type AbiWord,
  AbiWordError,
  abiEncodeTagged,
  abiEncodeWords,
  abiWord,
  type Keccak256,
  tagHash,
  tagHashWith,
} from './abi.ts';
export {
  announcementFromJson,
  announcementToJson,
  maxAnnouncementBytes,
  type WorkerAnnouncement,
} from './announcement.ts';
export {
  type AppCall,
  appCallDigest,
  appRequestHash,
  callerAppHeader,
  callerHeaderPrefix,
  maxAppCallSeconds,
  maxSignedAppCallBytes,
  parseSignedAppCall,
  type SignedAppCall,
  signedAppCallText,
} from './appCall.ts';
export {
  type AppFile,
  appFileFromJson,
  appFileName,
  maxAppFileBytes,
  type WholeFields,
  wholeFields,
} from './appFile.ts';
export { appFileDescriptions } from './appFileDescriptions.ts';
export { appFileFields, appFileSchema } from './appFileSchema.ts';
export {
  type GatekeeperBinding,
  type GuestBinding,
  type GuestInstance,
  gatekeeperBindingHash,
  gatekeeperReportData,
  guestBindingHash,
  guestInstanceId,
  guestReportData,
  type WorkerBinding,
  workerBindingHash,
  workerReportData,
} from './binding.ts';
export {
  type BlobClaim,
  blobClaimDigest,
  maxBlobClaimBytes,
  maxClaimedBlobs,
  parseBlobClaim,
  type SignedBlobClaim,
} from './blobClaim.ts';
export { BlobError, type FetchBlobOptions, fetchBlob, readBounded } from './blobs.ts';
export {
  type BridgeEnd,
  type BridgeMessage,
  bridgeMessageId,
  bridgeMessageToJson,
  bridgeRoute,
  bridgeVoidDigest,
  interoperableAddress,
  type MirroredGeneration,
  remoteHandoverDigest,
} from './bridge/bridgeMessage.ts';
export {
  type BridgeLink,
  type BridgeSide,
  type BridgeStatement,
  bridgeEnds,
  bridgeStatementDigest,
  bridgeStatementReader,
  bridgeStatementToJson,
  maxBridgeStatementBytes,
  parseBridgeStatement,
  parseSignedBridgeStatement,
  type SignedBridgeStatement,
} from './bridge/bridgeStatement.ts';
export {
  assertPolicyAllows,
  type ChainPolicy,
  ChainPolicyError,
  type ChainPolicyErrorCode,
  type WishedTransaction,
} from './chainPolicy.ts';
export { commitBody, commitBodyHash } from './commitment.ts';
export {
  type AttestationResult,
  attestationResultDigest,
  attestationResultEvidence,
  maxAttestationResultBytes,
  maxJudgedEvidenceBytes,
  type PlatformRevocation,
  parseSignedAttestationResult,
  parseSignedPlatformRevocation,
  platformRevocationDigest,
  type SignedAttestationResult,
  signedAttestationResultToJson,
  tcbStatusUpToDate,
} from './committee/attestationResult.ts';
export { beaconMessage, beaconRandomness } from './committee/beacon.ts';
export { ceremonyMessageDigest } from './committee/ceremonyMessage.ts';
export {
  type ChainHead,
  chainHeadDigest,
  parseSignedChainHead,
  type SignedChainHead,
  signedChainHeadToJson,
} from './committee/chainHead.ts';
export {
  type ChallengeQuestion,
  challengeAnswerOf,
  challengeAppSource,
  challengeBody,
  maxChallengeSteps,
  readChallengeAnswer,
} from './committee/challenge.ts';
export {
  type EpochIndex,
  epochIndexToJson,
  maxEpochCandidates,
  maxEpochIndexBytes,
  maxEpochPublications,
  parseEpochIndex,
} from './committee/epochIndex.ts';
export {
  differingRecordField,
  type EpochCandidate,
  type EpochRecord,
  epochAttemptAt,
  epochAttemptSeconds,
  epochCandidateToJson,
  epochProposerAt,
  epochRecordDigest,
  epochRecordToJson,
  parseEpochCandidate,
  parseEpochRecord,
} from './committee/epochRecord.ts';
export {
  type AbsenceProof,
  absenceProof,
  type EvictionTree,
  EvictionTreeError,
  evictionTreeOf,
  gapLeaf,
  maxEvictedSigners,
  parseAbsenceProof,
  provesAbsence,
  type SignerGap,
} from './committee/evictionTree.ts';
export {
  committeeProof,
  type Handover,
  handoverDigest,
  membersHash,
  networkKeysHash,
} from './committee/handover.ts';
export {
  type KeyClass,
  type KeyIdentity,
  keyClasses,
  keyIdentityHash,
  roundOfTimeContext,
  secretsIdentity,
  signingIdentity,
  stateIdentity,
  timeContext,
  timeIdentity,
} from './committee/keyIdentity.ts';
export {
  type KeyPurpose,
  type KeyPurposeOf,
  type KeyUse,
  KeyUseError,
  type KeyUseErrorCode,
  keyPurposes,
  keyUseInfo,
} from './committee/keyPurposes.ts';
export {
  type KeyAnswer,
  type KeyRequest,
  keyAnswerDigest,
  keyRequestDigest,
  maxKeyRequestBytes,
  parseSealedKeyAnswer,
  parseSignedKeyRequest,
  type SealedKeyAnswer,
  type SignedKeyRequest,
  signedKeyRequestToJson,
} from './committee/keyRequest.ts';
export {
  commitmentTo,
  type MeasurementCommitment,
  MeasurementError,
  type MeasurementPublication,
  type MeasurementVector,
  maxCommitteeMembers,
  maxMeasuredWorkers,
  maxMeasurementVectorBytes,
  measurementCommitmentDigest,
  measurementMessageToJson,
  measurementPublicationDigest,
  measurementVectorBytes,
  measurementVectorId,
  parseMeasurementCommitment,
  parseMeasurementPublication,
  parseMeasurementVector,
  parsePublishedVector,
  publicationId,
  type SignedMeasurementCommitment,
  type SignedMeasurementPublication,
  seenHash,
  type WorkerMeasurement,
} from './committee/measurement.ts';
export { type MemberRefusal, MemberRefusedError, memberRefusedBy } from './committee/memberRefusal.ts';
export {
  parseSignedRoundStatement,
  type RoundStatement,
  roundStatementMessage,
  roundStatementToJson,
  type SignedRoundStatement,
} from './committee/roundStatement.ts';
export {
  assertSecretsBundle,
  maxSecretBytes,
  maxSecretsBundleBytes,
  parseSecretsBundle,
  type SealedSecret,
  type SecretsBundle,
  SecretsBundleError,
  type SecretsBundleErrorCode,
  sealedSecretDigest,
  secretsBundleBytes,
  secretsBundleId,
} from './committee/secretsBundle.ts';
export {
  type CertifiedStateHead,
  certifiedStateHeadForm,
  isLaterStateHead,
  maxLyingMembers,
  parseCertifiedStateHead,
  parseStateKept,
  type StateHead,
  type StateKept,
  type StatePartition,
  stateHeadMessage,
  stateKeptDigest,
  statePartitionFields,
} from './committee/stateHead.ts';
export {
  maxStateAnswerBytes,
  maxStateRequestBytes,
  parseSignedStateFenceRequest,
  parseStateFenceAnswer,
  parseStateWriteAnswer,
  parseStateWriteRequest,
  type SignedStateFenceRequest,
  type SignedStatePromise,
  type SignedStateWrite,
  type StateFenceAnswer,
  type StateFenceRequest,
  type StatePlace,
  type StatePromise,
  type StateWrite,
  type StateWriteAnswer,
  type StateWriteRequest,
  stateFenceDigest,
  statePlace,
  statePromiseDigest,
  stateRecordToJson,
  stateWriteDigest,
} from './committee/stateRequests.ts';
export {
  type ContainerList,
  containerListBytes,
  imageName,
  maxComposeCharacters,
  parseContainerList,
} from './containerList.ts';
export { type Cron, CronError, type CronErrorCode, latestOccurrence, nextOccurrence, parseCron } from './cron.ts';
export { DeadlineError, sleep, withDeadline } from './deadline.ts';
export {
  domainSeparator,
  hashStruct,
  type RecordDomain,
  type StructType,
  structType,
  typedDataDigest,
} from './eip712.ts';
export { CloisterError, type CloisterErrorInit, describeError } from './errors.ts';
export { type GatewayHello, gatewayHelloDigest } from './gatewayHello.ts';
export {
  type GuestAppKey,
  type GuestAttestation,
  type GuestLog,
  type GuestStatement,
  guestAppKeyDigest,
  guestAttestationBytes,
  guestLogDigest,
  guestStatementJson,
  maxGuestAttestationBytes,
  parseGuestAttestation,
} from './guestStatement.ts';
export {
  type Address,
  asAddress,
  asBytes32,
  type Bytes32,
  type Hex,
  HexError,
  isHexOf,
  zeroAddress,
  zeroBytes32,
} from './hex.ts';
export { appId, contextHash, type ReceiptContext, subjectOf, tickAt, workerId } from './ids.ts';
export {
  dstackImageId,
  dstackMrConfigId,
  mrConfigIdOf,
  nitroImageId,
  readMrConfigId,
  sgxImageId,
  snpImageId,
  type TdxConfig,
  type TdxImage,
  type TeeType,
  tdxImageId,
  teeTypes,
} from './image.ts';
export {
  type ImageRecipe,
  type ImageReferenceValues,
  imageRecipeBytes,
  imageRecipeId,
  maxImageRecipeBytes,
  parseImageRecipe,
  referencedImageId,
} from './imageRecipe.ts';
export {
  canonicalJson,
  type Json,
  JsonError,
  type JsonErrorCode,
  jcsId,
  parseBoundedJson,
  parseCanonicalJson,
} from './jcs.ts';
export { type KeyConfigStatement, keyConfigDigest, keyConfigStatement, type SignedKeyConfig } from './keyConfig.ts';
export { type LogRequest, logRequestDigest, logsPath, maxLogRequestSeconds, reservedPath } from './logRequest.ts';
export {
  deterministicFunction,
  differingEnforcedField,
  type EnforcedFields,
  enforcedFields,
  envName,
  freePrice,
  functionManifest,
  hasStatePartition,
  hostsPartition,
  type ImagePolicy,
  imagePolicies,
  type Manifest,
  ManifestError,
  type ManifestErrorCode,
  type ManifestFields,
  manifestBytes,
  manifestFromJson,
  manifestId,
  manifestOfKind,
  maxManifestBytes,
  maxStatePartitions,
  needsKeys,
  parseManifest,
  type RunnableKind,
  runtimeNames,
  serviceName,
  unavailableFeature,
  type WorkloadKind,
  workloadKinds,
} from './manifest.ts';
export {
  holdsLeaf,
  MerkleHashError,
  MerkleIndexError,
  type MerkleTree,
  maxMerkleProof,
  merkleProof,
  merkleRoot,
  merkleTree,
} from './merkle.ts';
export {
  maxNetworkFileBytes,
  type NetworkFile,
  networkFileId,
  parseNetworkFile,
  placementTermEpochs,
} from './networkFile.ts';
export { type OutboundPlaces, outboundPlaces } from './outbound.ts';
export {
  anchoredLeaf,
  type Channel,
  type ChannelDeposit,
  type ChannelTotal,
  channelId,
  depositsNonce,
  PaymentAmountError,
  type PaymentErrorCode,
  PaymentPairsError,
  type PaymentsDomain,
  packTotals,
  pairsHash,
  type SettlementStatement,
  settlementStatementDigest,
  type Voucher,
  voucherDigest,
  voucherDomainSeparator,
} from './payment.ts';
export {
  type BareReceipt,
  bareReceiptFromJson,
  bareReceiptToJson,
  type ChannelOffer,
  channelFromJson,
  type ExactOffer,
  maxOfferedReceipts,
  maxOfferedTotals,
  maxPaymentOfferLength,
  type PaymentOffer,
  PaymentOfferError,
  type PaymentStanding,
  parsePaymentOffer,
  parsePaymentStanding,
  paymentOfferText,
  paymentStandingToJson,
  type SignerCumulative,
} from './paymentOffer.ts';
export {
  chargeOf,
  feeOf,
  highestFeeOf,
  isFree,
  type Metering,
  type Price,
  type PricedManifest,
  PriceError,
  priceOf,
  priceParts,
} from './price.ts';
export {
  agreedPrice,
  type PriceQuote,
  priceQuoteDigest,
  type SignedPriceQuote,
} from './priceQuote.ts';
export {
  maxSignedReceiptBytes,
  type Receipt,
  ReceiptFieldError,
  type ReceiptStatus,
  receiptDigest,
  receiptStatuses,
  receiptStatusName,
  type SignedReceipt,
  signedReceiptFromJson,
  signedReceiptToJson,
} from './receipt.ts';
export * as schema from './schema.ts';
export { SchemaError } from './schema.ts';
export {
  type CodeReference,
  isCodeOf,
  maxCodeBytes,
  maxSealedCodeBytes,
  type PackedCode,
  packCode,
  SealedCodeError,
  type SealedCodeErrorCode,
  sealedCodeAad,
  sealedCodeDigest,
  unpackCode,
} from './sealedCode.ts';
export {
  encodeSocketFrame,
  maxSocketMessageBytes,
  type SocketFrame,
  SocketFrameError,
  SocketFrameReader,
} from './socketFrames.ts';
export {
  exactPaymentTag,
  type SignedTransfer,
  type TokenDomain,
  type TransferAuthorization,
  transferAuthorizationDigest,
} from './transferAuthorization.ts';
export {
  type BlobList,
  openWeightsBlob,
  parseWeightsList,
  sealWeightsChunk,
  type WeightsList,
  WeightsListError,
  weightsBlobLength,
  weightsChunkBytes,
  weightsChunkLength,
  weightsListBytes,
  weightsListOf,
} from './weights.ts';
export {
  type ExactPayment,
  exactPaymentIn,
  exactPaymentToJson,
  maxX402HeaderLength,
  parseX402Header,
  X402HeaderError,
  type X402Settlement,
  x402Headers,
  x402HeaderText,
  x402Network,
} from './x402.ts';
