import type { NetworkClock, RegistryReader } from '@cloister/chain';
import {
  type Address,
  type Bytes32,
  CloisterError,
  hasStatePartition,
  type Manifest,
  tickAt,
  zeroBytes32,
} from '@cloister/core';
import type { PlacementReader } from '@cloister/placement';
import type { HeadWatch } from '../heads/headWatch.ts';
import type { AskedApp, AskingWorker, KeyFacts } from './keyRules.ts';
import type { ReleaseLog } from './releaseLog.ts';

export type ChainKeyFactsComponents = {
  readonly registry: RegistryReader;
  readonly clock: NetworkClock;
  readonly releases: ReleaseLog;
  readonly placement: PlacementReader;
  /** Which block enough members have seen. The registry's view reads at its number what it has and no other block. */
  readonly heads: Pick<HeadWatch, 'witnessed'>;
  /** A manifest by its id, checked. */
  readonly manifest: (id: Bytes32, signal: AbortSignal) => Promise<Manifest>;
};

/** What decisions about an app's state rest on besides. */
export type StateFacts = KeyFacts & {
  /** Timestamp of the newest block, unix seconds. */
  readonly now: bigint;
  /** Whether the manifest's state has this partition. */
  hasPartition(manifestId: Bytes32, partition: number, signal: AbortSignal): Promise<boolean>;
};

/**
 * The facts of one decision, all read at one block: the newest that enough members have seen. The asker has seen block `from`.
 * Throws CHAIN_UNWITNESSED, ChainError, ProofError.
 */
export async function readKeyFacts(
  components: ChainKeyFactsComponents,
  from: bigint,
  signal: AbortSignal,
): Promise<StateFacts> {
  const { registry, clock, releases, placement, manifest, heads } = components;
  const head = await heads.witnessed(from, signal);
  const block = head.number;
  const epoch = tickAt(head.timestamp, clock.genesis, clock.epochLength);
  const final = await registry.view.finalized(signal);
  // Which block is final is the RPCs' word; that it is no later than what enough members have seen is not.
  const finalTimestamp = final.timestamp < head.timestamp ? final.timestamp : head.timestamp;
  return {
    block,
    now: head.timestamp,
    epoch,
    finalRound: tickAt(finalTimestamp, clock.genesis, clock.roundLength),
    networkKeysHash: await registry.networkKeysHash(block, signal),
    worker: (signer: Address) => readWorker(registry, signer, block, signal),
    app: (app) => readApp(registry, app, block, signal),
    isImagePinned: (app, imageId) => registry.isImagePinned(app, imageId, block, signal),
    placement: async (app, manifestId) => {
      const rules = await manifest(manifestId, signal);
      const { hosts } = await placement.placementOf(app, rules, head, signal);
      return { hosts, minTcbEvaluationDataNumber: rules.placement.minTcbEvaluationDataNumber };
    },
    hasPartition: async (manifestId, partition, inner) =>
      hasStatePartition(await manifest(manifestId, inner), partition),
    appsOf: (platformId, except) => releases.appsOf(platformId, except, epoch),
  };
}

async function readWorker(
  registry: RegistryReader,
  signer: Address,
  block: bigint,
  signal: AbortSignal,
): Promise<AskingWorker | undefined> {
  const { active, workerId } = await registry.activeSigner(signer, block, signal);
  if (workerId === zeroBytes32) return undefined;
  const record = await registry.workerRecord(workerId, block, signal);
  const { platformId, imageId, networkKeysHash } = record;
  const standing = await registry.standing(record, block, signal);
  return { workerId, active, platformId, imageId, networkKeysHash, standing };
}

async function readApp(
  registry: RegistryReader,
  app: Bytes32,
  block: bigint,
  signal: AbortSignal,
): Promise<AskedApp | undefined> {
  try {
    const { manifestId, fields } = await registry.currentApp(app, block, signal);
    const { keyVersion, minKeyVersion, imagePolicy } = fields;
    return { manifestId, keyVersion, minKeyVersion, imagePolicy };
  } catch (error) {
    if (error instanceof CloisterError && error.code === 'REGISTRY_APP_UNKNOWN') return undefined;
    throw error;
  }
}
