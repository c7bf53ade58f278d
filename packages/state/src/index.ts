export type { StateGeneration, StateMember } from './committee/memberDoor.ts';
export {
  type HeldFence,
  StateCommittee,
  type StateCommitteeComponents,
  type StateCommitteeInit,
  type StateSubject,
} from './committee/stateCommittee.ts';
export {
  maxKeyBytes,
  maxListed,
  maxPartitionBytes,
  maxPartitionKeys,
  maxTransactionBytes,
  maxTransactionChanges,
  maxValueBytes,
} from './limits.ts';
export { type GatewayBlobsInit, gatewayBlobs, type StateBlobs } from './log/stateBlobs.ts';
export { partitionKey } from './partitionKey.ts';
export { StateError, type StateErrorCode } from './stateError.ts';
export {
  fitsTransaction,
  type StateListOptions,
  StateStore,
  type StateStoreComponents,
  type StateTransaction,
  transactionBytes,
} from './stateStore.ts';
