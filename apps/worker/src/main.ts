import { mkdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { ChainAccount, ChainView, CommitteeReader, RegistryReader } from '@cloister/chain';
import { type Bytes32, type Price, parseNetworkFile, priceParts } from '@cloister/core';
import { generateSecp256k1 } from '@cloister/crypto';
import { addressOf, signDigest } from '@cloister/crypto/native-secp256k1';
import { CommitteeChainEvidence, IntelChainEvidence, readOperatorKey, selectEnclaveDevice } from '@cloister/enclave';
import {
  ContainerDriver,
  FunctionDriver,
  MemoryBudget,
  ModelDriver,
  QuickJsDriver,
  type SandboxDriver,
  WasmDriver,
} from '@cloister/sandbox';
import { createMetrics, type Logger, runProcess, startHealthServer } from '@cloister/service';
import { WorkerDialler } from './gatewayDialler.ts';
import { memoryFolder } from './models/memoryFolder.ts';
import type { WeightsStoreInit } from './models/weightsStore.ts';
import { offeredKinds } from './offeredKinds.ts';
import type { WorkerPaymentsInit } from './payments/workerPayments.ts';
import { WorkerRetiredError } from './registration.ts';
import { isOffered, startOptional } from './startOptional.ts';
import { Worker, WorkerError } from './worker.ts';
import { workerConfig } from './workerConfig.ts';

runProcess({
  name: 'worker',
  config: workerConfig,
  endsForGood: (error) => error instanceof WorkerRetiredError,
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
    // One for all kinds.
    const memory = new MemoryBudget(config.memoryMiB === undefined ? undefined : config.memoryMiB * 1024 * 1024);
    const drivers: SandboxDriver[] = [
      new FunctionDriver({ runDir: path.join(config.runDir, 'function'), pooled: config.pooledSandboxes, memory }),
      new QuickJsDriver({ runDir: path.join(config.runDir, 'quickjs'), pooled: config.pooledDeterministic, memory }),
      new WasmDriver({ runDir: path.join(config.runDir, 'wasm'), pooled: config.pooledModules, memory }),
    ];
    const { enginesDir } = config;
    const modelDriver = new ModelDriver({
      runDir: path.join(config.runDir, 'model'),
      memory,
      gpu: config.gpu,
      ...(enginesDir === undefined ? {} : { enginesDir }),
    });
    const containerDriver = new ContainerDriver({
      runDir: path.join(config.runDir, 'container'),
      storageDir: path.join(imagesDir(config), 'engine'),
      maxImageBytes: config.imagesGiB * 1024 ** 3,
      gvisor: config.gvisor,
      memory,
    });
    // Side by side: each waits for programs that it tries its walls with.
    const optional = await Promise.all([
      startOptional(modelDriver, log, signal),
      startOptional(containerDriver, log, signal),
      ...drivers.map((driver) => driver.start({ signal })),
    ]);
    const models = isOffered(optional[0]) ? optional[0] : undefined;
    const containers = isOffered(optional[1]) ? optional[1] : undefined;
    const notOffered = [optional[0], optional[1]].filter((one) => !isOffered(one));
    if (models !== undefined) {
      drivers.push(models);
      if (config.gpu !== 'off')
        log.info(
          'models offered',
          typeof models.gpu === 'string' ? { gpu: `not used: ${models.gpu}` } : { gpu: models.gpu },
        );
    }
    const weights = weightsInit(config);
    const inMemory = models === undefined ? undefined : await memoryFolder();
    const sealedWeights = inMemory === undefined ? undefined : { ...weights, directory: inMemory };
    if (containers !== undefined) {
      drivers.push(containers);
      const { withoutGvisor, engine } = containers;
      log.info('containers offered', { ...engine, ...(withoutGvisor && { gvisor: `not used: ${withoutGvisor}` }) });
    }
    for (const driver of drivers) requireWalls(driver, device.simulated, log);

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
        drivers,
        ...(models && { models: { engines: models.engines, weights, sealedWeights } }),
        ...(containers && {
          containers: {
            images: containers,
            archives: archivesInit(config),
            guestSocketsDir: path.join(config.runDir, 'guest'),
          },
        }),
        receiptSigner,
        announce: (announcement) => {
          latest = announcement;
          dialler?.announce(announcement);
        },
        log,
      },
      { index: BigInt(config.index), payments: await paymentsInit(config) },
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
    // Of all kinds at once: the same walls stand around each.
    const walls = drivers.flatMap(({ walls: each }) => Object.entries(each));
    const missing = new Map(walls.filter(([, wall]) => !wall.present));
    return {
      ready: {
        workerId: registered.workerId,
        health: health.url,
        operator: operator.address,
        receiptSigner: receiptSigner.address,
        device: device.name,
        simulated: device.simulated,
        kinds: offeredKinds(drivers),
        notOffered,
        missingWalls: [...missing].map(([name, wall]) => ({ name, reason: wall.missingReason ?? '' })),
      },
      async stop() {
        await health.stop();
        await dialler?.stop();
        await worker.stop();
        await Promise.all(drivers.map((driver) => driver.stop()));
        if (inMemory !== undefined) await rm(inMemory, { recursive: true, force: true });
        secret.wipe();
      },
    };
  },
});

/** Beside the sandboxes' folder unless told otherwise: where that is in memory, weights are too. */
function weightsInit(config: {
  readonly runDir: string;
  readonly weightsDir: string | undefined;
  readonly weightsGiB: number;
}): WeightsStoreInit {
  return {
    directory: config.weightsDir ?? `${config.runDir}-weights`,
    maxBytes: config.weightsGiB * 1024 ** 3,
    patienceMs: 30_000,
  };
}

type ImagesConfig = { readonly runDir: string; readonly imagesDir: string | undefined; readonly imagesGiB: number };

function imagesDir({ runDir, imagesDir: given }: Pick<ImagesConfig, 'runDir' | 'imagesDir'>): string {
  return given ?? `${runDir}-images`;
}

function archivesInit(config: ImagesConfig): WeightsStoreInit {
  return {
    what: 'image',
    directory: path.join(imagesDir(config), 'archives'),
    maxBytes: config.imagesGiB * 1024 ** 3,
    patienceMs: 30_000,
  };
}

type PaymentsConfig = {
  readonly exact: boolean;
  readonly collectAtLeast: string;
  readonly keepMs: number;
  readonly anchorSeconds: number;
  readonly watchSeconds: number;
  readonly prices: Readonly<Record<keyof Price, string>> | undefined;
};

async function paymentsInit(config: {
  readonly dataDir: string | undefined;
  readonly payments: PaymentsConfig;
}): Promise<WorkerPaymentsInit> {
  const { dataDir, payments } = config;
  if (dataDir !== undefined) await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const { prices } = payments;
  return {
    journalFile: dataDir === undefined ? undefined : path.join(dataDir, 'settlements.json'),
    exact: payments.exact,
    collectAtLeast: BigInt(payments.collectAtLeast),
    keepMs: payments.keepMs,
    anchorMs: payments.anchorSeconds * 1_000,
    watchMs: payments.watchSeconds * 1_000,
    prices: prices && (Object.fromEntries(priceParts.map((part) => [part, BigInt(prices[part])])) as Price),
  };
}

/** On real evidence people trust the walls: without the ones that keep apps apart a worker must not run. */
function requireWalls({ kind, walls }: SandboxDriver, simulated: boolean, log: Logger): void {
  const missing = (['network', 'memory', 'pids', 'identity', 'systemCalls'] as const).filter(
    (name) => !walls[name].present,
  );
  if (missing.length === 0) return;
  const reasons = missing.map((name) => `${name} (${walls[name].missingReason ?? 'unknown'})`).join(', ');
  if (!simulated)
    throw new WorkerError(
      'WORKER_WALLS_MISSING',
      `Apps of kind "${kind}" can't be kept apart: no wall for ${reasons}`,
      'Install bubblewrap and give the worker cgroups',
    );
  log.warn('sandbox: walls missing', { kind, missing: reasons });
}
