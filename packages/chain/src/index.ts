export { type AccountInit, type Call, ChainAccount, TransactionError, type TransactionErrorCode } from './account.ts';
export {
  type AnnouncedCall,
  AppTimelockReader,
  type AppTimelockStatus,
  announcementStates,
  appTimelockFactory,
  appTimelockFactoryAddress,
} from './appTimelocks.ts';
export { type AppVersions, AppVersionsReader, appVersionStates, type PublishedVersion } from './appVersionsReader.ts';
export { BondHistory, type RunningBond } from './bondHistory.ts';
export {
  areSameSigners,
  arrivalStates,
  type BridgeArrival,
  BridgeReader,
  type BridgeWiring,
  mirrorOf,
  RemoteCommitteeReader,
  type SentMessage,
  SentMessages,
  sentStates,
  type WaitingTransfer,
} from './bridgeReader.ts';
export type { BlockId, ChainLog, EventQuery, Head } from './chainLog.ts';
export {
  ChainError,
  type ChainErrorCode,
  ChainView,
  type ChainViewInit,
  decodeRead,
  revertedError,
} from './chainView.ts';
export { CommitteeHistory, type PastGeneration } from './committeeHistory.ts';
export { type CommitteeMember, CommitteeReader, type CommitteeStatus } from './committeeReader.ts';
export { type DeployableContract, DeployError, deployContract } from './deploy.ts';
export {
  BridgeDeployError,
  type BridgeDeployer,
  type BridgeParameters,
  deployBridge,
  deployRemoteTimelock,
  planBridge,
} from './deployBridge.ts';
export { readWorkersBudget } from './epochBudget.ts';
export { type BondedWorker, type EpochEarners, noEarners, readEpochEarners } from './epochEarners.ts';
export { type EpochFacts, type EpochFactsComponents, readEpochFacts } from './epochFacts.ts';
export { EpochRecordsReader, onChainRecord, type PostedRecord, postedRecord } from './epochRecordsReader.ts';
export { FinalLogs } from './finalLogs.ts';
export { firstBlockSince } from './firstBlockSince.ts';
export * from './generated/index.ts';
export {
  type AllowedImage,
  admitGovernorCalls,
  allowCall,
  allowConfigCall,
  allowImageCall,
  blockPlatformCall,
  type GovernedCall,
  governAtOnce,
  handOverToGovernorCalls,
  type MoneyContracts,
  type RecipeReference,
  retireImageCall,
  revokeImageCall,
  setBondRuleCall,
  setChallengeAppCall,
  setEligibleCall,
  setImageGuardianCall,
  setNetworkKeysHashCall,
  setTeePolicyCall,
  setThresholdCall,
  shortenImageCall,
  type TeePolicy,
  tcbStatusNumbers,
  wireMoneyCalls,
} from './govern.ts';
export {
  type ActRule,
  executionDays,
  GovernorReader,
  type GovernorRules,
  type Proposal,
  type ProposalState,
  type ProposalStatus,
  type ProposedCall,
  proposalIdOf,
  proposalStates,
  queueDays,
  type Stake,
} from './governorReader.ts';
export { ImageRegistryReader, type ImageRules, type ImageStatus } from './imageRegistryReader.ts';
export {
  type IntelContracts,
  intelContractsOf,
  type Published,
  publishCollateral,
  registerPck,
  type Submission,
} from './intelCollateral.ts';
export { type LinkCheck, type LinkProblem, linkProblem } from './linkProblem.ts';
export { type ChannelStatus, type OpenedChannel, PaymentsReader } from './paymentsReader.ts';
export { type ContractRefusal, refusalIn } from './refusal.ts';
export { type EvictedSigner, type PastWorker, RegistryHistory } from './registryHistory.ts';
export {
  type AnchoredSecrets,
  type AppVersion,
  type NetworkClock,
  RegistryError,
  RegistryReader,
  type TeePolicyStatus,
  type WorkerStanding,
  type WorkerStatus,
  workerStates,
} from './registryReader.ts';
export { receiptsInCalldata, type ShownOnChain, ShownReceipts } from './shownReceipts.ts';
export { type SignedTransaction, signTransaction, type UnsignedTransaction } from './signTransaction.ts';
export type { SimulatedCall, SimulatedLog, SimulatedResult, SimulatedResults, Simulation } from './simulation.ts';
export { offences, type SlashCase, type SlashEvidence, SlashingReader, slashStates } from './slashingReader.ts';
export { bondStates, type PoolStatus, StakingReader, type UnstakeRequest, type WorkerBond } from './stakingReader.ts';
export {
  type RentalFilter,
  rentalOfLog,
  StorageReader,
  type StorageRental,
  type StorageRentalStatus,
} from './storageReader.ts';
export { type PaidStorage, paidStorage, StorageRentals, type StorageRentalsInit } from './storageRentals.ts';
export { type TimelockHolders, TimelockReader, type TimelockRole, timelockRoles } from './timelockReader.ts';
export {
  type GasPrice,
  type MinedTransaction,
  TransactionRelay,
  type TransactionRelayInit,
} from './transactionRelay.ts';
export { type WorkerRecord, workerRecordHash } from './workerRecord.ts';
