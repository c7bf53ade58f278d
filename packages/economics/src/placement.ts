import { type Address, type Bytes32, type Manifest, tickAt, workloadKinds } from '@cloister/core';
import { rendezvousScore } from './rendezvous.ts';

/** The network's clock, seconds. */
export type PlacementClock = { readonly genesis: bigint; readonly epochLength: bigint; readonly roundLength: bigint };

/** How long an app stays where it is placed. */
export type PlacementTerm = {
  /** 0 for the first, from the deployment on. */
  readonly number: bigint;
  /** Unix seconds. The term's first block is the first with this timestamp or a later one. */
  readonly startsAt: bigint;
  /** The beacon's round whose randomness draws the hosts. */
  readonly seedRound: bigint;
};

/** A worker as placement sees it, at one block. Times in unix seconds. */
export type PlaceableWorker = {
  readonly workerId: Bytes32;
  readonly operator: Address;
  readonly platformId: Bytes32;
  readonly teeType: number;
  /** Bit 0 function, 1 wasm, 2 model, 3 container. */
  readonly kinds: number;
  readonly active: boolean;
  readonly leaseUntil: bigint;
  /** At least 1. */
  readonly weight: bigint;
};

export type PlacementRules = Pick<Manifest, 'kind' | 'placement'>;

/**
 * The term that an app is in. The first begins at its deployment and is drawn by the first round after it; later ones begin with
 * every `termEpochs`-th epoch, shifted by the app's id so that not all apps move at once, and are drawn by their first round.
 * @param createdAt timestamp of the app's deployment block
 * @param now timestamp of the newest block
 */
export function placementTermAt(
  app: Bytes32,
  createdAt: bigint,
  now: bigint,
  clock: PlacementClock,
  termEpochs: bigint,
): PlacementTerm {
  const epochAt = (time: bigint) => tickAt(time, clock.genesis, clock.epochLength);
  const roundAt = (time: bigint) => tickAt(time, clock.genesis, clock.roundLength);
  const shift = BigInt(app) % termEpochs;
  const turnsAt = (epoch: bigint) => (epoch - shift) / termEpochs - (epoch < shift ? 1n : 0n);
  const deployed = turnsAt(epochAt(createdAt));
  const turns = turnsAt(epochAt(now));
  if (turns <= deployed) return { number: 0n, startsAt: createdAt, seedRound: roundAt(createdAt) + 1n };
  const startsAt = clock.genesis + (turns * termEpochs + shift) * clock.epochLength;
  return { number: turns - deployed, startsAt, seedRound: roundAt(startsAt) };
}

/**
 * The app's hosts: the first `replicas` of the line of workers that were eligible at the term's first block, but for who breaks the
 * manifest's distinctness; whoever has left since is skipped.
 * @param seed the seed round's randomness
 * @param atStart workers at the term's first block
 * @param startsAt that block's timestamp
 * @param holdsNow whether a worker's registration still holds
 */
export function placementOf(init: {
  readonly app: Bytes32;
  readonly rules: PlacementRules;
  readonly seed: Bytes32;
  readonly atStart: readonly PlaceableWorker[];
  readonly startsAt: bigint;
  readonly holdsNow: (workerId: Bytes32) => boolean;
}): Bytes32[] {
  const { app, rules, seed, atStart, startsAt, holdsNow } = init;
  const line = atStart
    .filter((worker) => isEligible(worker, rules, startsAt) && holdsNow(worker.workerId))
    .map((worker) => ({ worker, score: rendezvousScore(seed, app, worker.workerId, worker.weight) }))
    .sort((left, right) =>
      left.score === right.score
        ? left.worker.workerId < right.worker.workerId
          ? -1
          : 1
        : left.score < right.score
          ? -1
          : 1,
    );
  const hosts: PlaceableWorker[] = [];
  for (const { worker } of line) {
    if (hosts.length === rules.placement.replicas) break;
    if (
      rules.placement.distinct.every((trait) => hosts.every((host) => traitOf(host, trait) !== traitOf(worker, trait)))
    )
      hosts.push(worker);
  }
  return hosts.map(({ workerId }) => workerId);
}

const teeNames: Readonly<Record<number, string>> = { 1: 'sgx', 2: 'tdx', 3: 'sev-snp', 4: 'nitro' };
const vendors: Readonly<Record<number, string>> = { 1: 'intel', 2: 'intel', 3: 'amd', 4: 'aws' };

function isEligible(worker: PlaceableWorker, { kind, placement }: PlacementRules, startsAt: bigint): boolean {
  const teeTypes: readonly string[] = placement.teeTypes;
  return (
    worker.active &&
    worker.leaseUntil > startsAt &&
    (worker.kinds >> workloadKinds[kind]) % 2 === 1 &&
    teeTypes.includes(teeNames[worker.teeType] ?? '')
  );
}

function traitOf(worker: PlaceableWorker, trait: 'platform' | 'operator' | 'vendor'): string {
  if (trait === 'platform') return worker.platformId;
  return trait === 'operator' ? worker.operator : (vendors[worker.teeType] ?? `type ${worker.teeType}`);
}
