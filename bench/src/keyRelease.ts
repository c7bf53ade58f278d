import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createSimulatedPlatform, makeSimulatedRoot, SimulatedTdxDevice } from '@cloister/attestation/unsafe-simulated';
import type { CommitteeReader, CommitteeStatus } from '@cloister/chain';
import { type Address, type Bytes32, keyIdentityHash, type NetworkFile, zeroBytes32 } from '@cloister/core';
import { addressOf, fromHex, generateSecp256k1, type SecretBytes, signDigest, toHex } from '@cloister/crypto';
import { createMetrics, silentLogger } from '@cloister/service';
import { publicShareAt } from '@cloister/threshold/dkg';
import { verifySignatureNative } from '@cloister/threshold/native';
import type { BeaconKeeper } from '../../apps/gatekeeper/src/beacon/beaconKeeper.ts';
import type { BridgeService } from '../../apps/gatekeeper/src/bridge/bridgeService.ts';
import type { CommitteeState, Member } from '../../apps/gatekeeper/src/committeeState.ts';
import type { HandoverKeeper } from '../../apps/gatekeeper/src/handover/handoverKeeper.ts';
import type { KeyFacts } from '../../apps/gatekeeper/src/keys/keyRules.ts';
import { KeyService } from '../../apps/gatekeeper/src/keys/keyService.ts';
import { openReleases } from '../../apps/gatekeeper/src/keys/sealedReleases.ts';
import type { ResultService } from '../../apps/gatekeeper/src/results/resultService.ts';
import type { RoundKeeper } from '../../apps/gatekeeper/src/rounds/roundKeeper.ts';
import { GatekeeperServer } from '../../apps/gatekeeper/src/server.ts';
import { publicSharesOf } from '../../apps/gatekeeper/src/shares/publicShares.ts';
import { ShareStore } from '../../apps/gatekeeper/src/shares/shareStore.ts';
import type { StateRecovery } from '../../apps/gatekeeper/src/state/stateRecovery.ts';
import type { StateService } from '../../apps/gatekeeper/src/state/stateService.ts';
import { domain, type Generation, makePeople, type Person } from '../../apps/gatekeeper/test/ceremonyRoom.ts';
import { KeyClient, type KeyWish } from '../../apps/worker/src/keys/keyClient.ts';
import { dealtGeneration } from './dealtGeneration.ts';
import { type BenchLine, benchLine } from './measure.ts';

const [count, threshold] = [7, 5];
const [runs, warmUps] = [30, 5];
/** Members that were not needed are done by then with what they had begun. */
const betweenRunsMs = 40;

const b32 = (byte: number): Bytes32 => `0x${byte.toString(16).padStart(2, '0').repeat(32)}`;
const digest = b32(0xd1);
const worker = { workerId: b32(3), platformId: b32(4), imageId: b32(5), networkKeysHash: b32(6) };
const wish: KeyWish = { app: b32(1), keyVersion: 1, class: 'secrets', context: zeroBytes32, manifest: b32(2) };

/**
 * key-release-5of7: a worker asks seven gatekeepers over HTTP for an app's key and has it, verified. Each checks the request and
 * every rule, writes the release into its sealed log on the disk, and answers; what it reads of the chain is fixed. All of them,
 * and the worker, are this one process: on machines of their own the members work at the same time.
 */
export async function benchKeyRelease(): Promise<BenchLine> {
  const folder = await mkdtemp(join(tmpdir(), 'cloister-bench-'));
  const servers: GatekeeperServer[] = [];
  try {
    const people = await makePeople(count);
    const generation = dealtGeneration(people, threshold);
    const members: Member[] = [];
    const state = (): CommitteeState => stateOf(members);
    const workerSecret = generateSecp256k1();
    for (const [index, person] of people.entries()) {
      const dataDir = await mkdtemp(join(folder, 'member-'));
      const keys = await serviceOf({ person, generation, state, workerSigner: addressOf(workerSecret), dataDir });
      const server = serverOf(keys);
      servers.push(server);
      const operator: Address = `0x${String(index + 1).padStart(40, '0')}`;
      const { signer, hpkeKey } = person;
      members.push({ operator, signer, hpkeKey, endpoint: await server.start() });
    }
    const client = clientOf(generation, state, workerSecret);
    const times: number[] = [];
    for (let run = -warmUps; run < runs; run++) {
      const started = performance.now();
      const key = await client.signature(wish, AbortSignal.timeout(15_000));
      if (run >= 0) times.push(performance.now() - started);
      assertHolds(generation, key);
      await delay(betweenRunsMs);
    }
    return benchLine('key-release-5of7', times);
  } finally {
    for (const server of servers) await server.stop();
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

function assertHolds({ made }: Generation, key: SecretBytes): void {
  const message = fromHex(keyIdentityHash(domain, wish));
  if (!verifySignatureNative(publicShareAt(made.apps, 0), message, key.reveal())) throw new Error('The key is wrong');
}

function clientOf({ made }: Generation, state: () => CommitteeState, secret: SecretBytes): KeyClient {
  const head = { number: 100n, hash: zeroBytes32, timestamp: 1_000n };
  const [apps, beacon] = [toHex(publicShareAt(made.apps, 0)), toHex(publicShareAt(made.beacon, 0))];
  return new KeyClient({
    network: {
      chainId: domain.chainId,
      contracts: { workerRegistry: domain.registry },
      networkKeys: { apps, beacon },
    } as NetworkFile,
    committee: {
      view: { head: async () => head, finalized: async () => head },
      status: async () => ({ generation: state().generation }) as CommitteeStatus,
    } as unknown as CommitteeReader,
    sign: (bytes) => signDigest(secret, bytes),
    clock: { genesis: 0n, epochLength: 100n },
  });
}

type ServiceInit = {
  readonly person: Person;
  readonly generation: Generation;
  readonly state: () => CommitteeState;
  readonly workerSigner: Address;
  readonly dataDir: string;
};

async function serviceOf({ person, generation, state, workerSigner, dataDir }: ServiceInit): Promise<KeyService> {
  const store = new ShareStore();
  const publicShares = publicSharesOf(generation.made, count);
  store.keep({ number: 1n, digest, publicShares, shares: generation.shares.get(person.signer) });
  store.follow(state().generation);
  const { releases, keep } = await openReleases(dataDir, sealing(), person.signer);
  const facts: KeyFacts = {
    block: 100n,
    epoch: 10n,
    finalRound: 20n,
    networkKeysHash: worker.networkKeysHash,
    worker: async (signer) => (signer === workerSigner ? { ...worker, active: true, standing } : undefined),
    app: async () => ({ manifestId: wish.manifest, keyVersion: 1, minKeyVersion: 1, imagePolicy: 0 }),
    isImagePinned: async () => false,
    placement: async () => ({ hosts: [worker.workerId], minTcbEvaluationDataNumber: 0 }),
    appsOf: (platformId, except) => releases.appsOf(platformId, except, 10n),
  };
  return new KeyService(
    {
      me: person,
      store,
      state,
      facts: async () => facts,
      releases,
      keepReleases: keep,
      answered: createMetrics().counter({ name: 'bench_total', help: 'bench' }),
      log: silentLogger,
    },
    { domain, maxBlockDistance: 10n, maxAppsPerPlatform: 5 },
  );
}

const standing = {
  imageAllowed: true,
  configAllowed: true,
  platformAllowed: true,
  tcbAccepted: true,
  tcbEvaluationDataNumber: 1,
};

/** Of a simulated device of its own. */
function sealing() {
  const now = Math.floor(Date.now() / 1_000);
  const register = (byte: number) => new Uint8Array(48).fill(byte);
  const image = { mrtd: register(0xa1), rtmr0: register(1), rtmr1: register(2), rtmr2: register(3) };
  const platform = createSimulatedPlatform(makeSimulatedRoot(now), { now });
  return new SimulatedTdxDevice({ platform, image, configId: b32(7) }).atRest;
}

/** Nobody asks it for anything but keys. */
function serverOf(keys: KeyService): GatekeeperServer {
  const components = {
    keys,
    handovers: {} as HandoverKeeper,
    beacon: {} as BeaconKeeper,
    rounds: {} as RoundKeeper,
    states: {} as StateService,
    stateRecovery: {} as StateRecovery,
    results: {} as ResultService,
    bridges: {} as BridgeService,
    publicSharesOf: () => undefined,
    epochs: { index: async () => undefined, vector: async () => undefined, leaves: async () => undefined },
    head: () => undefined,
    status: () => undefined,
    evidence: () => undefined,
    metrics: createMetrics(),
    log: silentLogger,
  };
  return new GatekeeperServer(components, { host: '127.0.0.1', port: 0 });
}

function stateOf(members: readonly Member[]): CommitteeState {
  const generation = { number: 1n, threshold, members, publicSharesHash: zeroBytes32, digest, since: 1n };
  return {
    generation,
    next: { threshold, members, isComplete: true, lastLeaseUntil: 0n },
    keys: undefined,
  };
}
