export {
  BeaconReader,
  BeaconReaderError,
  type BeaconReaderErrorCode,
  type BeaconRound,
} from './beaconReader.ts';
export {
  type Placement,
  PlacementError,
  PlacementReader,
  type PlacementReaderComponents,
} from './placementReader.ts';
