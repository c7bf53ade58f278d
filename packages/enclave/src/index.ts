export {
  CommitteeChainEvidence,
  type CommitteeChainEvidenceInit,
  CommitteeEvidenceError,
  type CommitteeEvidenceErrorCode,
} from './committeeChainEvidence.ts';
export { enclaveConfigFields } from './enclaveConfig.ts';
export {
  type ChainEvidence,
  ChainEvidenceError,
  IntelChainEvidence,
  type IntelChainEvidenceInit,
  type TeePolicies,
} from './intelChainEvidence.ts';
export {
  type EnclaveEvidence,
  type HeldLease,
  type Lease,
  LeaseError,
  LeaseKeeper,
  type LeaseKeeperComponents,
} from './leaseKeeper.ts';
export { OperatorKeyError, readOperatorKey } from './operatorKey.ts';
export { assertOwnNetwork, type OwnNetwork, OwnNetworkError } from './ownNetwork.ts';
export { type EnclaveDeviceInit, selectEnclaveDevice } from './selectEnclaveDevice.ts';
