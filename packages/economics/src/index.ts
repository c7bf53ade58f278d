export {
  type PlaceableWorker,
  type PlacementClock,
  type PlacementRules,
  type PlacementTerm,
  placementOf,
  placementTermAt,
} from './placement.ts';
export { log2, rendezvousScore } from './rendezvous.ts';
