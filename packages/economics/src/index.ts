export { maximumCommissionBps, maximumCommissionStepBps, splitCommission } from './commission.ts';
export {
  type AssuranceLevelNumber,
  type ConfidenceRules,
  confidenceOf,
  defaultConfidenceRules,
  type TcbStatusNumber,
  tcbConfidenceOf,
} from './confidence.ts';
export { type CountedPublications, countedPublicationsOf } from './countedPublications.ts';
export { type DirectoryEntry, type DirectoryWorker, directoryLeaf, directoryOf } from './directory.ts';
export {
  defaultEmissionShares,
  type EmissionShares,
  emissionOfPeriod,
  emissionPeriodSeconds,
  emissionTotal,
  emittedAfter,
  epochEmission,
  firstPeriodEmission,
  pha,
  splitEmission,
} from './emission.ts';
export {
  type BondedWorker,
  differingLeaf,
  type EpochData,
  type EpochEarners,
  type EpochInputs,
  type EpochLeaf,
  type EpochLeaves,
  EpochVectorMissingError,
  epochDataOf,
} from './epochData.ts';
export { defaultFeeShares, type FeeShares, maximumFeeShares, type SplitFees, splitFees } from './fees.ts';
export { type GrowthRules, type ValuedEpoch, valueAfterEpoch } from './growth.ts';
export { lowerMedian, type MeasuredWorker, measuredLeaf, measuredWorkersOf, upperMedian } from './measured.ts';
export {
  type PlaceableWorker,
  type PlacementClock,
  type PlacementRules,
  type PlacementTerm,
  placementOf,
  placementTermAt,
} from './placement.ts';
export {
  emptyShareLedger,
  isWorthless,
  type ShareLedger,
  toAssetsDown,
  toAssetsUp,
  toSharesDown,
  toSharesUp,
} from './poolShares.ts';
export { log2, rendezvousScore } from './rendezvous.ts';
export {
  type EarningWorker,
  type EpochRewards,
  epochRewardsOf,
  type PoolReward,
  rewardLeaf,
  rewardsOfLeaves,
} from './rewards.ts';
export {
  bearersOf,
  maximumReporterBps,
  type Offence,
  type SlashableStake,
  slashAmount,
  slashTable,
  splitSlash,
} from './slash.ts';
export { squareRootDown, squareRootUp } from './squareRoot.ts';
export {
  type BondRule,
  bondFactorOfScore,
  countedWorkOf,
  coveredWork,
  defaultBondRule,
  defaultWorthRules,
  earningShare,
  minimumBond,
  payoutOf,
  requiredBond,
  stepsPerScore,
  type WorthRules,
  workerShare,
  workerValue,
} from './worth.ts';
