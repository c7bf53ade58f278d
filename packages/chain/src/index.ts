export { type AccountInit, type Call, ChainAccount, TransactionError, type TransactionErrorCode } from './account.ts';
export {
  type BlockId,
  ChainError,
  type ChainErrorCode,
  type ChainLog,
  ChainView,
  type ChainViewInit,
  type ContractRefusal,
  decodeRead,
  type EventQuery,
  type Head,
  refusalIn,
  revertedError,
} from './chainView.ts';
export { CommitteeHistory, type PastGeneration } from './committeeHistory.ts';
export { type CommitteeMember, CommitteeReader, type CommitteeStatus } from './committeeReader.ts';
export { type DeployableContract, DeployError, deployContract } from './deploy.ts';
export { type EpochFacts, type EpochFactsComponents, readEpochFacts } from './epochFacts.ts';
export { EpochRecordsReader, onChainRecord, type PostedRecord } from './epochRecordsReader.ts';
export { firstBlockSince } from './firstBlockSince.ts';
export * from './generated/index.ts';
export {
  allowConfigCall,
  allowImageCall,
  blockPlatformCall,
  type GovernedCall,
  governAtOnce,
  revokeImageCall,
  setBondRuleCall,
  setChallengeAppCall,
  setEligibleCall,
  setNetworkKeysHashCall,
  setTeePolicyCall,
  setThresholdCall,
  type TeePolicy,
  tcbStatusNumbers,
} from './govern.ts';
export {
  type IntelContracts,
  intelContractsOf,
  type Published,
  publishCollateral,
  registerPck,
  type Submission,
} from './intelCollateral.ts';
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
export { type WorkerRecord, workerRecordHash } from './workerRecord.ts';
