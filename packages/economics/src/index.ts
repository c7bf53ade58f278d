export { type CountedPublications, countedPublicationsOf } from './countedPublications.ts';
export { type DirectoryEntry, type DirectoryWorker, directoryLeaf, directoryOf } from './directory.ts';
export {
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
  differingLeaf,
  type EpochData,
  type EpochInputs,
  type EpochLeaf,
  type EpochLeaves,
  EpochVectorMissingError,
  epochDataOf,
} from './epochData.ts';
export { lowerMedian, type MeasuredWorker, measuredLeaf, measuredWorkersOf, upperMedian } from './measured.ts';
export {
  type PlaceableWorker,
  type PlacementClock,
  type PlacementRules,
  type PlacementTerm,
  placementOf,
  placementTermAt,
} from './placement.ts';
export { log2, rendezvousScore } from './rendezvous.ts';
export { type EarningWorker, type EpochRewards, epochRewardsOf, type PoolReward, rewardLeaf } from './rewards.ts';
export { squareRootDown, squareRootUp } from './squareRoot.ts';
export { minimumBond, type WorthRules, workerShare, workerValue } from './worth.ts';
