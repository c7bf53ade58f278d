export type {
  PoolStatus,
  ProposalState,
  ProposalStatus,
  ProposedCall,
  SlashCase,
  SlashEvidence,
  UnstakeRequest,
  WorkerBond,
} from '@cloister/chain';
export {
  type Address,
  type Bytes32,
  CloisterError,
  contextHash,
  describeError,
  type Hex,
  type Manifest,
  type NetworkFile,
  parseNetworkFile,
  type Receipt,
  type SignedReceipt,
  subjectOf,
} from '@cloister/core';
export { BeaconReaderError, type BeaconRound, type Placement, PlacementError } from '@cloister/placement';
export { type AppState, AppStateError, type MemberWord, type PartitionState } from './appState.ts';
export { AppFieldsError, type ServingApp } from './apps.ts';
export { BridgeCarrier, type BridgeCarrierInit, type Carried } from './bridge/bridgeCarrier.ts';
export { type BridgeProgress, Bridges, type BridgeTransfer, type SendPhaOptions } from './bridge/bridges.ts';
export { type BridgeSignatures, gatherBridgeProof } from './bridge/gatherBridgeProof.ts';
export { BridgeError, type BridgeErrorCode, LinkChains } from './bridge/linkChains.ts';
export { CallError, type CallErrorCode } from './callError.ts';
export type { CallerWitness, CallOptions, CallRequest, CallResult, SentRequest } from './callTypes.ts';
export { CloisterClient, createClient } from './client.ts';
export { ClientError, type ClientErrorCode } from './clientError.ts';
export type { ClientOptions } from './clientOptions.ts';
export { CloisterSocket, type SessionOptions, SocketCloseEvent, SocketErrorEvent } from './cloisterSocket.ts';
export { Committee, type GatekeeperReport } from './committee.ts';
export { appSalt, DeployAppError, type DeployedApp, type DeployOptions } from './deploy.ts';
export {
  type DeployForOptions,
  DeployOwnerCannotSignError,
  DeployOwnerError,
  type OwnerCall,
  type PlannedDeployment,
} from './deployFor.ts';
export { EpochError, type EpochErrorCode, Epochs } from './epochs.ts';
export {
  type Equivocation,
  equivocationFromJson,
  equivocationOf,
  equivocationToJson,
  NoEquivocationError,
  type NoEquivocationErrorCode,
  receiptsIn,
  type ShownReceipt,
} from './equivocation/equivocation.ts';
export {
  EquivocationError,
  type FoundEquivocation,
  type KeptEvidence,
  type ReceiptStore,
  ReceiptWatch,
  type ReceiptWatchInit,
} from './equivocation/receiptWatch.ts';
export type {
  CallApp,
  FunctionAccount,
  FunctionBlock,
  FunctionChain,
  FunctionContext,
  FunctionGuest,
  FunctionService,
  FunctionState,
  FunctionTransaction,
  GuestBytes,
  GuestQuote,
  GuestTlsKeyOptions,
  ScheduledEvent,
  StateListOptions,
  StateReader,
  StateValue,
  StateValueType,
} from './functionContext.ts';
export { GatewayError, type GatewayErrorCode, type StorageUse } from './gateways.ts';
export type { Support, VoteAmounts, WeighedStake } from './governance/ballots.ts';
export {
  type Change,
  type Effect,
  type EmittedEvent,
  type ExecutedCall,
  effectOf,
  type Fork,
  type ForkAnswer,
  type ForkedCall,
} from './governance/effect.ts';
export {
  Governance,
  type GovernanceComponents,
  openGovernance,
  type VoteCast,
} from './governance/governance.ts';
export { GovernanceError, type GovernanceErrorCode } from './governance/governanceError.ts';
export { type NamedContract, namedContracts } from './governance/namedContracts.ts';
export { describeProposal, readProposalFile, type WrittenProposal } from './governance/proposalFile.ts';
export { readCall } from './governance/readCall.ts';
export { plainText, type ShownArgument, type ShownCall, showCall, valueText } from './governance/shownCalls.ts';
export { type ProposalTimes, proposalIdText, type ShownProposal } from './governance/shownProposal.ts';
export { simulatedFork } from './governance/simulatedFork.ts';
export { isOpen, proposalsOfStake } from './governance/stakeNotice.ts';
export type { VoterStanding } from './governance/standing.ts';
export { type LogLine, LogsError, type WorkerLogs } from './logs.ts';
export { PaymentError, type PaymentErrorCode } from './payments/channelLedger.ts';
export type { PayerInit, SpendingLimits } from './payments/payer.ts';
export { type Charge, memoryPayerStore, type PayerStore } from './payments/payerStore.ts';
export { type ChannelBalance, Payments } from './payments/payments.ts';
export type { TransferSigner } from './payments/transfers.ts';
export { ProofError, type ProofFile, type VerifyProofOptions, type VerifyProofResult } from './proof.ts';
export type { FalseField, RecomputedEpoch } from './recomputeEpoch.ts';
export type { Custody, Reconciliation } from './reconcile.ts';
export { type RotatedKeys, RotateKeysError, type RotateKeysOptions } from './rotateKeys.ts';
export type { ListedWorker } from './routeFinder.ts';
export { type SealedCode, sealCode } from './sealedCode.ts';
export type { Exchange, ExchangeReceipt } from './sealedFetch.ts';
export { SecretsError, type SecretsErrorCode, type SecretValues, sealSecrets, sealToRound } from './secrets.ts';
export { type ReportableEquivocation, Slashes, type SlashesComponents } from './staking/slashes.ts';
export { type BondStep, type Claimed, type StakePosition, Staking } from './staking/staking.ts';
export { StakingError, type StakingErrorCode } from './staking/stakingError.ts';
export type { ProofStep } from './steps.ts';
export {
  type ClaimedBlobs,
  type Storage,
  StorageError,
  type StorageOffer,
  type StorageQuote,
  type StorageStatus,
} from './storage/storage.ts';
export {
  GuestRefusedError,
  type GuestRefusedErrorCode,
  type RegisteredGuest,
  type VerifyGuestComponents,
  type VerifyGuestOptions,
  verifyGuest,
} from './verifyGuest.ts';
export { type CallPayment, ReceiptRefusedError } from './verifyReceipt.ts';
export {
  type VerifiedWorker,
  type WorkerClaims,
  WorkerRefusedError,
  type WorkerRefusedErrorCode,
} from './verifyWorker.ts';
export type { Republished } from './versions/republish.ts';
export { VersionError, type VersionErrorCode } from './versions/versionError.ts';
export {
  type Announcements,
  type ListedVersion,
  type ListedVersions,
  type RolledBack,
  type Scaled,
  Versions,
} from './versions/versions.ts';
export { WeightsError } from './weights.ts';
export { ChannelScheme } from './x402/channelScheme.ts';
export { X402PaymentError } from './x402/paywall.ts';
export type { PaymentPayload, PaymentRequired, PaymentRequirements } from './x402/x402Types.ts';
