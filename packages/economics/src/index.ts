export { type CountedPublications, countedPublicationsOf } from './countedPublications.ts';
export { type DirectoryEntry, type DirectoryWorker, directoryLeaf, directoryOf } from './directory.ts';
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
