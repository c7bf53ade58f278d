export { parseScalar } from '../shared/secretScalar.ts';
export {
  assertThreshold,
  type Combined,
  type Commitments,
  combineFresh,
  combineResharing,
  combineShares,
  type Dealing,
  deal,
  maxMembers,
  parseCommitments,
  publicShareAt,
  shareFits,
} from './dealing.ts';
