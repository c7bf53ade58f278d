import { readFile } from 'node:fs/promises';
import { ChainAccount, ChainView, CommitteeReader, RegistryReader } from '@cloister/chain';
import { type Bytes32, parseNetworkFile } from '@cloister/core';
import { generateSecp256k1 } from '@cloister/crypto';
import { addressOf, signDigest } from '@cloister/crypto/native-secp256k1';
import { CommitteeChainEvidence, IntelChainEvidence, readOperatorKey, selectEnclaveDevice } from '@cloister/enclave';
import { FunctionDriver, type WallReport } from '@cloister/sandbox';
import { createMetrics, type Logger, runProcess, startHealthServer } from '@cloister/service';
import { WorkerDialler } from './gatewayDialler.ts';
import { Worker, WorkerError } from './worker.ts';
import { workerConfig } from './workerConfig.ts';

runProcess({
  name: 'worker',
  config: workerConfig,
  async start({ config, log, signal, fail }) {
    const network = parseNetworkFile(await readFile(config.networkFile));
    const [rpc] = network.rpcs;
    if (rpc === undefined) throw new WorkerError('WORKER_NO_CHAIN', 'The network names no RPC');
    const registry = new RegistryReader(
      new ChainView({ chainId: network.chainId, rpcs: network.rpcs }),
      network.contracts,
    );
    const operator = new ChainAccount({
      chainId: network.chainId,
      rpc,
      account: await readOperatorKey(config.operatorKeyFile),
    });
    // The receipt signer lives in this process's memory alone: after a restart there is another one.
    const secret = generateSecp256k1();
    const receiptSigner = { address: addressOf(secret), sign: (digest: Uint8Array) => signDigest(secret, digest) };

    const { unsafeSimulatedDriver, unsafeSimulatedSnpDriver } = await import('@cloister/enclave/unsafe-simulated');
    const simulated = {
      network,
      imageRoot: config.imageRoot,
      program: 'apps/worker',
      ...config.unsafeSimulated,
    } as const;
    const device = await selectEnclaveDevice(
      {
        network,
        wanted: config.device,
        collateral: config.collateral,
        dstackEndpoint: config.dstackEndpoint,
        privilegeLevel: config.privilegeLevel,
        simulated: [unsafeSimulatedDriver(simulated), unsafeSimulatedSnpDriver(simulated)],
        log,
      },
      signal,
    );
    const intel = new IntelChainEvidence({ registry, account: operator, log });
    const committee = new CommitteeChainEvidence({
      registry,
      committee: new CommitteeReader(registry.view, network.contracts),
      domain: { chainId: network.chainId, registry: network.contracts.workerRegistry },
      log,
    });
    const driver = new FunctionDriver({ runDir: config.runDir, pooled: config.pooledSandboxes });
    await driver.start({ signal });
    requireWalls(driver.walls, device.simulated, log);

    let latest = '';
    const worker: Worker = new Worker(
      {
        network,
        composedNetworkId: config.networkId as Bytes32 | undefined,
        registry,
        operator,
        device,
        chainEvidence: (document, inner) => {
          if (document.teeType === 'tdx' || document.teeType === 'sgx') return intel.of(document, inner);
          return committee.of(document, inner);
        },
        driver,
        receiptSigner,
        announce: (announcement) => {
          latest = announcement;
          dialler?.announce(announcement);
        },
        log,
      },
      { index: BigInt(config.index) },
    );
    let dialler: WorkerDialler | undefined;
    const registered = await worker.start(signal, fail);
    dialler = new WorkerDialler({
      network,
      workerId: registered.workerId,
      sign: receiptSigner.sign,
      log,
      serve: (stream, open) => worker.serve(stream, open, signal),
    });
    dialler.announce(latest);
    await dialler.start(signal);
    const health = await startHealthServer({
      port: config.healthPort,
      metrics: createMetrics(),
      health: () => ({
        ok: dialler?.gateways.length !== 0,
        gateways: dialler?.gateways ?? [],
        leaseUntil: worker.registered.leaseUntil.toString(),
      }),
    });
    const missing = Object.entries(driver.walls).filter(([, wall]) => !wall.present);
    return {
      ready: {
        workerId: registered.workerId,
        health: health.url,
        operator: operator.address,
        receiptSigner: receiptSigner.address,
        device: device.name,
        simulated: device.simulated,
        missingWalls: missing.map(([name, wall]) => ({ name, reason: wall.missingReason ?? '' })),
      },
      async stop() {
        await health.stop();
        await dialler?.stop();
        await worker.stop();
        await driver.stop();
        secret.wipe();
      },
    };
  },
});

/** On real evidence people trust the walls: without the ones that keep apps apart a worker must not run. */
function requireWalls(walls: WallReport, simulated: boolean, log: Logger): void {
  const missing = (['network', 'memory', 'pids', 'identity'] as const).filter((name) => !walls[name].present);
  if (missing.length === 0) return;
  const reasons = missing.map((name) => `${name} (${walls[name].missingReason ?? 'unknown'})`).join(', ');
  if (!simulated)
    throw new WorkerError(
      'WORKER_WALLS_MISSING',
      `Apps can't be kept apart: no wall for ${reasons}`,
      'Install bubblewrap and give the worker cgroups',
    );
  log.warn('sandbox: walls missing', { missing: reasons });
}
