export {
  type ChainEvidence,
  ChainEvidenceError,
  IntelChainEvidence,
  type IntelChainEvidenceInit,
  type TeePolicies,
} from './intelChainEvidence.ts';
export { type EnclaveDeviceInit, selectEnclaveDevice } from './selectEnclaveDevice.ts';
