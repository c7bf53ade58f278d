export { type AccountInit, type Call, ChainAccount, TransactionError, type TransactionErrorCode } from './account.ts';
export { ChainError, type ChainErrorCode, ChainView, type ChainViewInit, type Head } from './chainView.ts';
export { type DeployableContract, DeployError, deployContract } from './deploy.ts';
export * from './generated/index.ts';
export {
  allowConfigCall,
  allowImageCall,
  type GovernedCall,
  governAtOnce,
  revokeImageCall,
  setVerifierCall,
} from './govern.ts';
export {
  type AppVersion,
  type NetworkClock,
  RegistryReader,
  type WorkerStatus,
  workerStates,
} from './registryReader.ts';
