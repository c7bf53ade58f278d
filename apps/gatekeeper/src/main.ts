import { mkdir, readFile } from 'node:fs/promises';
import {
  ChainAccount,
  ChainView,
  CommitteeHistory,
  CommitteeReader,
  EpochRecordsReader,
  RegistryHistory,
  RegistryReader,
  ShownReceipts,
} from '@cloister/chain';
import { ProvenView } from '@cloister/chain-proof';
import {
  type Bytes32,
  beaconRandomness,
  CloisterError,
  describeError,
  networkFileId,
  parseNetworkFile,
  placementTermEpochs,
  tickAt,
  zeroBytes32,
} from '@cloister/core';
import { toHex } from '@cloister/crypto';
import { IntelChainEvidence, readOperatorKey, selectEnclaveDevice } from '@cloister/enclave';
import { PlacementReader } from '@cloister/placement';
import { ReceiptWatch } from '@cloister/sdk';
import { createMetrics, runProcess } from '@cloister/service';
import { BeaconKeeper } from './beacon/beaconKeeper.ts';
import { BridgeService } from './bridge/bridgeService.ts';
import { readLinkFacts } from './bridge/chainLinkFacts.ts';
import { ChainCommittee } from './chainCommittee.ts';
import { ChallengeCalls } from './challenges/challengeCalls.ts';
import { ChallengePool } from './challenges/challengePool.ts';
import { Challenger } from './challenges/challenger.ts';
import { Measurements } from './challenges/measurements.ts';
import { openEnclaveKeys } from './enclaveKeys.ts';
import { ChainEpochs } from './epochs/chainEpochs.ts';
import { ChainRewards } from './epochs/chainRewards.ts';
import { openEpochArchive } from './epochs/epochArchive.ts';
import { EpochKeeper } from './epochs/epochKeeper.ts';
import { RewardKeeper } from './epochs/rewardKeeper.ts';
import { openEpochKeep } from './epochs/sealedEpoch.ts';
import { Gatekeeper } from './gatekeeper.ts';
import { gatekeeperConfig } from './gatekeeperConfig.ts';
import { HandoverKeeper } from './handover/handoverKeeper.ts';
import { HeadWatch } from './heads/headWatch.ts';
import { readKeyFacts } from './keys/chainKeyFacts.ts';
import { KeyService } from './keys/keyService.ts';
import { manifestStore } from './keys/manifestStore.ts';
import { openReleases } from './keys/sealedReleases.ts';
import { Peers } from './peers/peers.ts';
import { gatekeeperRegistration } from './registration.ts';
import { readResultFacts } from './results/chainResultFacts.ts';
import { ResultRules } from './results/resultRules.ts';
import { ResultService } from './results/resultService.ts';
import { readRoundFacts } from './rounds/roundFacts.ts';
import { RoundKeeper } from './rounds/roundKeeper.ts';
import { GatekeeperServer } from './server.ts';
import { ShareStore } from './shares/shareStore.ts';
import { BeaconSigner } from './signing/beaconSigner.ts';
import { ChainSlashes } from './slashing/chainSlashes.ts';
import { PublicReceipts } from './slashing/publicReceipts.ts';
import { RecordWatch } from './slashing/recordWatch.ts';
import { SlashKeeper } from './slashing/slashKeeper.ts';
import { openStates } from './state/sealedStates.ts';
import { StateBook } from './state/stateBook.ts';
import { StateRecovery } from './state/stateRecovery.ts';
import { StateService } from './state/stateService.ts';
import { founderVerifier } from './verifyFounder.ts';

/** Blocks that a key request may be behind what a member knows. */
const maxBlockDistance = 64n;
/** Of challenges and from the chain, to compare later ones with. */
const maxSeenReceipts = 16_384;

runProcess({
  name: 'gatekeeper',
  config: gatekeeperConfig,
  async start({ config, log, signal, fail }) {
    const network = parseNetworkFile(await readFile(config.networkFile));
    const { chainId, contracts, rpcs } = network;
    const domain = { chainId, registry: contracts.workerRegistry };
    const view = new ProvenView({ chainId, rpcs });
    await view.assertProofs(contracts.workerRegistry, signal);
    const reader = new CommitteeReader(view, contracts);
    // Pinned to the blocks that decisions are made by: what follows the chain reads by the other one.
    const decidedBy = new ProvenView({ chainId, rpcs, shares: view });
    const registry = new RegistryReader(decidedBy, contracts);
    const operator = new ChainAccount({
      chainId,
      rpc: rpcs[0] as string,
      account: await readOperatorKey(config.operatorKeyFile),
    });
    await mkdir(config.dataDir, { recursive: true, mode: 0o700 });

    const { unsafeSimulatedDriver } = await import('@cloister/enclave/unsafe-simulated');
    const device = await selectEnclaveDevice(
      {
        network,
        wanted: config.device,
        collateral: config.collateral,
        dstackEndpoint: config.dstackEndpoint,
        privilegeLevel: config.privilegeLevel,
        simulated: [
          unsafeSimulatedDriver({
            network,
            imageRoot: config.imageRoot,
            program: 'apps/gatekeeper',
            ...config.unsafeSimulated,
          }),
        ],
        log,
      },
      signal,
    );
    const intel = new IntelChainEvidence({ registry: reader, account: operator, log });
    const store = new ShareStore();
    const keys = await openEnclaveKeys(config.dataDir, device.atRest, store);
    await keys.persist(store);
    if (!device.sealsAtRest)
      log.warn('gatekeeper: shares live in memory alone', {
        note: 'a restart needs the others; when more than n − t members restart at once the keys are lost for ever',
      });

    const clock = await registry.clock(signal);
    const epochAt = (timestamp: bigint) => tickAt(timestamp, clock.genesis, clock.epochLength);
    const chain = new ChainCommittee({ reader, operator, domain });
    const metrics = createMetrics();
    const peers = new Peers({
      onTrouble: (member, reason) => log.debug('peer: no answer', { operator: member.operator, reason }),
    });
    const handovers = new HandoverKeeper(
      {
        chain,
        store,
        peers,
        me: keys,
        persist: () => keys.persist(store),
        verifyFounder: founderVerifier({ network, reader, peers }),
        log,
      },
      {
        domain,
        committee: contracts.gatekeeperCommittee,
        attemptSeconds: config.attemptSeconds,
        epochAt,
        genesis: clock.genesis,
        patienceMs: config.tickMs / 2,
      },
    );
    const history = new RegistryHistory(view, contracts);
    const roundAt = (timestamp: bigint) => tickAt(timestamp, clock.genesis, clock.roundLength);
    const beaconSigner = new BeaconSigner({ me: keys.signer, store, peers, state: () => handovers.final });
    const beacon = new BeaconKeeper(
      {
        signer: beaconSigner,
        peers,
        now: () => gatekeeper?.now,
        assertWitnessed: () => heads.assertWitnessed(heads.own ?? { number: 0n }),
        onWrongPartial: (index, round) => log.warn('beacon: wrong partial', { index, round }),
      },
      { domain, roundAt },
    );
    const rounds = new RoundKeeper(
      {
        signer: beaconSigner,
        peers,
        round: () => (gatekeeper?.now === undefined ? undefined : roundAt(gatekeeper.now)),
        facts: (round, inner) => readRoundFacts({ view, history, clock }, round, inner),
        assertWitnessed: () => heads.assertWitnessed(heads.own ?? { number: 0n }),
        onWrongPartial: (index, round) => log.warn('rounds: a member says something else', { index, round }),
      },
      { domain },
    );
    const heads = new HeadWatch(
      {
        me: keys,
        view,
        peers,
        state: () => handovers.final,
        clockMs: () => performance.now(),
        onWitnessed: (head) => decidedBy.pin(head),
        onDiffering: (member, { number }) =>
          log.warn('heads: another chain', { operator: member.operator, block: number }),
      },
      { domain },
    );
    const { releases, keep: keepReleases } = await openReleases(config.dataDir, device.atRest, keys.signer);
    const randomness = async (round: bigint, inner: AbortSignal) =>
      beaconRandomness(await beacon.signature(round, inner));
    const placement = new PlacementReader({
      registry,
      history,
      randomness,
      clock,
      termEpochs: placementTermEpochs(network),
    });
    const manifest = manifestStore(network.gateways);
    const facts = (from: bigint, inner: AbortSignal) =>
      readKeyFacts({ registry, clock, releases, placement, manifest, heads }, from, inner);
    const keyService = new KeyService(
      {
        me: keys,
        store,
        state: () => handovers.final,
        facts,
        releases,
        keepReleases,
        answered: metrics.counter({ name: 'cloister_gatekeeper_keys_total', help: 'Key requests by outcome' }),
        log,
      },
      { domain, maxBlockDistance, maxAppsPerPlatform: config.maxAppsPerPlatform },
    );
    const kept = await openStates(config.dataDir, device.atRest, keys.signer);
    const book = new StateBook(kept.states, kept.disk);
    const stateRecovery = new StateRecovery(
      { me: keys, book, disk: kept.disk, peers, state: () => handovers.final, log },
      { domain, keptGeneration: kept.generation },
    );
    const states = new StateService(
      {
        me: keys,
        store,
        state: () => handovers.final,
        facts,
        book,
        recovery: stateRecovery,
        answered: metrics.counter({
          name: 'cloister_gatekeeper_state_total',
          help: 'Requests about apps’ state by outcome',
        }),
        log,
      },
      { domain, maxBlockDistance, maxAppsPerPlatform: config.maxAppsPerPlatform },
    );
    const results = new ResultService(
      {
        me: keys,
        rules: new ResultRules(network),
        facts: (inner) => readResultFacts({ registry, heads }, inner),
        answered: metrics.counter({ name: 'cloister_gatekeeper_results_total', help: 'Evidence judged, by outcome' }),
        log,
      },
      { domain },
    );
    const generations = new CommitteeHistory(view, contracts);
    const others = new Map((network.bridges ?? []).map((link) => [link.chainId, new ChainView(link)]));
    const bridges = new BridgeService({
      me: keys,
      network,
      facts: (link, inner) => {
        const remote = others.get(link.chainId) as ChainView;
        return readLinkFacts({ link, home: view, remote, history: generations, heads }, inner);
      },
      answered: metrics.counter({ name: 'cloister_gatekeeper_bridge_total', help: 'Statements about other chains' }),
      log,
    });
    const measurements = new Measurements({ longSteps: config.challengeSteps });
    const slashes = new SlashKeeper({
      chain: new ChainSlashes(view, operator, network),
      operator: operator.address,
      state: () => handovers.final,
      log,
    });
    const epochs = new EpochKeeper(
      {
        chain: new ChainEpochs({ reader, history, clock, operator }, contracts),
        peers,
        me: { operator: operator.address, signer: keys.signer, sign: keys.sign },
        state: () => handovers.final,
        beaconOf: randomness,
        measurementsOf: (epoch) => measurements.of(epoch),
        releaseLogHead: () => releases.head.head,
        assertWitnessed: () => heads.assertWitnessed(heads.own ?? { number: 0n }),
        signed: new RecordWatch((proof) => slashes.foundRecords(proof)),
        keep: await openEpochKeep(config.dataDir, device.atRest, keys.signer),
        archive: await openEpochArchive(config.dataDir),
        clockMs: () => performance.now(),
        log,
      },
      {
        domain,
        epochAt,
        commitMs: config.commitMs,
      },
    );
    const rewards = new RewardKeeper({
      chain: new ChainRewards(view, operator, contracts),
      operator: operator.address,
      state: () => handovers.final,
      leaves: (digest) => epochs.leaves(digest),
      log,
    });
    const receipts = new ReceiptWatch({
      maxReceipts: maxSeenReceipts,
      onEquivocation: ({ equivocation }) => slashes.found(equivocation),
    });
    const shown = new ShownReceipts(view, contracts);
    const workers = new RegistryReader(view, contracts);
    const publicReceipts = new PublicReceipts({ view, shown, registry: workers, receipts }, { domain });
    let gatekeeper: Gatekeeper | undefined;
    const server = new GatekeeperServer(
      {
        handovers,
        beacon,
        rounds,
        keys: keyService,
        states,
        stateRecovery,
        results,
        bridges,
        epochs,
        publicSharesOf: (generation) => store.held.find(({ number }) => number === generation)?.publicShares,
        head: () => heads.own,
        status: () => (gatekeeper?.isRegistered ? gatekeeper.status() : undefined),
        evidence: () => (gatekeeper?.isRegistered ? gatekeeper.evidence() : undefined),
        metrics,
        log,
      },
      config.listen,
    );
    const listening = await server.start();
    const endpoint = config.endpoint ?? listening;
    const hpkeKey = toHex(keys.hpke.publicKey) as Bytes32;
    gatekeeper = new Gatekeeper(
      {
        chain,
        lease: gatekeeperRegistration(
          {
            reader,
            operator,
            device,
            // No compose file: a dstack CVM can't seal shares at rest.
            ownNetwork: { id: networkFileId(network) },
            chainEvidence: (document, inner) => {
              if (document.teeType === 'tdx' || document.teeType === 'sgx') return intel.of(document, inner);
              throw new GatekeeperError(
                'GATEKEEPER_DEVICE_UNREGISTRABLE',
                `The evidence of "${device.name}" can't be verified on the chain`,
                'Run a gatekeeper on a TDX machine',
              );
            },
            log,
          },
          { chainId, signer: keys.signer, hpkeKey, endpoint },
        ),
        handovers,
        beacon,
        rounds,
        heads,
        stateRecovery,
        epochs,
        rewards,
        slashes,
        publicReceipts,
        store,
        releases,
        clock,
        log,
      },
      {
        operator: operator.address,
        signer: keys.signer,
        hpkeKey,
        simulated: device.simulated,
        sealsAtRest: device.sealsAtRest,
        tickMs: config.tickMs,
      },
    );
    const records = new EpochRecordsReader(view, contracts);
    const challengeCalls = new ChallengeCalls({
      network,
      keys: () => handovers.final?.keys,
      clockMs: () => Number(heads.own?.timestamp ?? 0n) * 1_000,
      receipts,
      app: async (inner) => {
        heads.assertWitnessed(heads.own ?? { number: 0n });
        const app = await records.challengeApp(undefined, inner);
        return app === zeroBytes32 ? undefined : app;
      },
    });
    const challenger = new Challenger(
      {
        workers: async (inner) => {
          const head = await view.head(inner);
          const known = await history.workersAt(head, inner);
          return known.filter((one) => one.active && one.leaseUntil > head.timestamp).map(({ workerId }) => workerId);
        },
        epoch: () => (gatekeeper?.now === undefined ? undefined : epochAt(gatekeeper.now)),
        call: (workerId, body, inner) => challengeCalls.call(workerId, body, inner),
        measurements,
        onUnanswered: (workerId, why) => log.debug('challenges: no answer', { workerId, reason: describeError(why) }),
        short: new ChallengePool({ steps: 1, size: 16 }),
        long: new ChallengePool({ steps: config.challengeSteps, size: 16 }),
        clockMs: () => performance.now(),
      },
      {
        epochSeconds: Number(clock.epochLength),
        perWorker: config.challengesPerWorker,
        maxPerEpoch: config.maxChallengesPerEpoch,
      },
    );
    await gatekeeper.start(signal, fail);
    const challenging = challenger.run(signal).catch(fail);
    return {
      ready: {
        operator: operator.address,
        signer: keys.signer,
        endpoint,
        device: device.name,
        simulated: device.simulated,
        sealsAtRest: device.sealsAtRest,
        restored: keys.restored,
      },
      async stop() {
        await challenging;
        await server.stop();
        await gatekeeper?.stop();
        keys.wipe();
      },
    };
  },
});

export class GatekeeperError extends CloisterError<'GATEKEEPER_DEVICE_UNREGISTRABLE'> {
  override readonly name = 'GatekeeperError';
  constructor(code: GatekeeperError['code'], message: string, hint: string) {
    super({ code, message, hint });
  }
}
