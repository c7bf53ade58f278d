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
export { AppFieldsError, type ServingApp } from './apps.ts';
export {
  CallError,
  type CallErrorCode,
  type CallerWitness,
  type CallOptions,
  type CallRequest,
  type CallResult,
} from './call.ts';
export { ClientError, type ClientOptions, CloisterClient, createClient } from './client.ts';
export { Committee, type GatekeeperReport } from './committee.ts';
export { appSalt, DeployAppError, type DeployedApp, type DeployOptions } from './deploy.ts';
export { EpochError, type EpochErrorCode, Epochs } from './epochs.ts';
export { GatewayError, type GatewayErrorCode } from './gateways.ts';
export { type LogLine, LogsError, type WorkerLogs } from './logs.ts';
export { ProofError, type ProofFile, type VerifyProofOptions, type VerifyProofResult } from './proof.ts';
export type { FalseField, RecomputedEpoch } from './recomputeEpoch.ts';
export { type RotatedKeys, RotateKeysError, type RotateKeysOptions } from './rotateKeys.ts';
export type { ListedWorker } from './routeFinder.ts';
export { type SealedCode, sealCode } from './sealedCode.ts';
export { SecretsError, type SecretsErrorCode, type SecretValues, sealSecrets, sealToRound } from './secrets.ts';
export type { ProofStep } from './steps.ts';
export { ReceiptRefusedError } from './verifyReceipt.ts';
export {
  type VerifiedWorker,
  type WorkerClaims,
  WorkerRefusedError,
  type WorkerRefusedErrorCode,
} from './verifyWorker.ts';
