import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import {
  createSimulatedRoot,
  createSimulatedSnpRoot,
  type MeasuredImage,
  measureImage,
  simulatedSnpImageId,
} from '@cloister/attestation/unsafe-simulated';
import { ChainAccount, contractsHash } from '@cloister/chain';
import { CloisterError, type NetworkFile } from '@cloister/core';
import { processFiles, writeFileAtomic } from '@cloister/service';
import { anvilSpec } from './anvil.ts';
import { Child, type ChildEvents, type ChildSpec, readyLine } from './child.ts';
import {
  committeeThreshold,
  type DataFolder,
  type DevnetState,
  dataVersion,
  newAccounts,
  openDataFolder,
} from './dataFolder.ts';
import {
  deployContracts,
  fundAccounts,
  nameChallengeApp,
  networkFileOf,
  publishDevCollateral,
  setCommitteeRules,
  setMoneyRules,
  setWorkerRules,
  waitForKeys,
} from './deployment.ts';
import { settleGovernance } from './governance.ts';
import { chainId, type DevnetOptions } from './options.ts';
import { assertPortFree, freePort } from './ports.ts';
import type { Reporter } from './reporter.ts';
import { deployLink, newBridge, startCarrier, startSecondChain } from './secondChain.ts';

export type RunningDevnet = {
  readonly networkFile: string;
  readonly accountsFile: string;
  readonly network: NetworkFile;
  readonly gatewayUrl: string;
  readonly rpcUrl: string;
  readonly state: DevnetState;
  /** Whether the holders of PHA alone propose to the timelock. */
  readonly governed: boolean;
  readonly children: readonly Child[];
  /** What each worker said when it was ready. */
  readonly workers: ReadonlyMap<string, Record<string, unknown>>;
  stop(): Promise<void>;
};

type Parts = {
  readonly options: DevnetOptions;
  /** The checkout that everything runs from. */
  readonly root: string;
  readonly reporter: Reporter;
  readonly signal: AbortSignal;
  readonly data: DataFolder;
  readonly state: DevnetState;
  readonly rpcUrl: string;
  readonly gatewayUrl: string;
  readonly launch: (spec: ChildSpec) => Promise<Record<string, unknown>>;
};

/**
 * Starts every part of the network as a process of its own, each restarted when it ends by itself. What an earlier start
 * left in the data folder is gone on with: the same chain, contracts, keys and network file.
 */
export async function startDevnet(
  options: DevnetOptions,
  root: string,
  reporter: Reporter,
  signal: AbortSignal,
): Promise<RunningDevnet> {
  const data = await openDataFolder(options.dataDir, { contractsHash, reset: options.reset });
  const children: Child[] = [];
  const workers = new Map<string, Record<string, unknown>>();
  const carrying = new AbortController();
  let carried: Promise<void> = Promise.resolve();
  const stop = async (): Promise<void> => {
    carrying.abort();
    await carried;
    // Workers first, the chain last: each can still say goodbye to what it depends on.
    for (const kind of ['worker', 'gatekeeper'])
      await Promise.all(children.filter(({ spec }) => spec.name.startsWith(kind)).map((child) => child.stop()));
    for (const child of [...children].reverse()) await child.stop();
    data.release();
  };
  const events: ChildEvents = {
    onRestart: (name, reason) =>
      reporter.event('restarting', `${name} ended (${reason}); starting it again`, { name, reason }),
    onDown: (name, reason) =>
      reporter.event('down', `${name} keeps ending (${reason}); trying again now and then`, { name, reason }),
    onReady: (name, ready, restarted) => {
      if (restarted) reporter.event('restarted', `${name} is back`, { name });
      if (name.startsWith('worker')) workers.set(name, ready);
    },
    onEnded: (name, reason) =>
      reporter.event('ended', `${name} has ended for good (${reason}); the next npm start starts it again`, {
        name,
        reason,
      }),
  };
  const launch = (spec: ChildSpec): Promise<Record<string, unknown>> => {
    const child = new Child(spec, events);
    children.push(child);
    return child.start(signal);
  };
  try {
    const state = data.state ?? (await firstState(data, options));
    const rpcUrl = `http://127.0.0.1:${state.ports.rpc}`;
    const gatewayUrl = `http://127.0.0.1:${state.ports.gateway}`;
    const parts: Parts = { options, root, reporter, signal, data, state, rpcUrl, gatewayUrl, launch };
    await assertPortFree(state.ports.rpc, 'the chain');
    await assertPortFree(state.ports.gateway, 'the gateway');
    if (options.secondChain && state.bridge === undefined) throw new DevnetError('DEVNET_ONE_CHAIN');
    if (state.bridge !== undefined) await assertPortFree(state.bridge.rpcPort, 'the second chain');
    await mkdir(data.file('logs'), { recursive: true });
    const { network, ...images } = await startNetwork(parts);
    const accountsFile = data.file('accounts.json');
    const warning = 'Keys of a simulated network: worthless, and not secret';
    await writeFileAtomic(accountsFile, `${JSON.stringify({ warning, ...state.accounts }, null, 2)}\n`, {
      mode: 0o600,
    });
    const current: DevnetState = { ...state, ...images };
    await data.save(current);
    await startWorkers(parts);
    const deployer = new ChainAccount({ chainId, rpc: rpcUrl, account: state.accounts.deployer.privateKey });
    await reporter.step(
      'challenges',
      'Gatekeepers measure the workers by an app of their own',
      () => nameChallengeApp(deployer, state.accounts.deployer.privateKey, rpcUrl, network, signal),
      (isNew) => (isNew ? 'deployed' : 'was there'),
    );
    const governed = await reporter.step(
      'governance',
      'Votes of PHA propose to the timelock',
      () => settleGovernance(deployer, rpcUrl, network.contracts, options.governed),
      (isHandedOver) => (isHandedOver ? 'nobody else does' : 'the deployer does too, without delay'),
    );
    const networkFile = data.file('network.json');
    if (state.bridge !== undefined)
      carried = startCarrier(state.bridge, network, reporter, AbortSignal.any([signal, carrying.signal]));
    return {
      networkFile,
      accountsFile,
      network,
      gatewayUrl,
      rpcUrl,
      state: current,
      governed,
      children,
      workers,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The chain with contracts and rules, the gateway, and the committee, whose keys the network file names. */
async function startNetwork(
  parts: Parts,
): Promise<{ network: NetworkFile } & Pick<DevnetState, 'imageId' | 'snpImageId' | 'gatekeeperImageId'>> {
  const { root, reporter, signal, data, state, rpcUrl, gatewayUrl, launch } = parts;
  await reporter.step('chain', data.state === undefined ? 'Chain started' : 'Chain goes on from its last state', () =>
    launch(
      anvilSpec({
        port: state.ports.rpc,
        chainId,
        stateFile: data.file('chain.json'),
        logFile: data.file('logs', 'chain.log'),
        cwd: data.dir,
      }),
    ),
  );
  await fundAccounts(rpcUrl, state);
  const deployer = new ChainAccount({ chainId, rpc: rpcUrl, account: state.accounts.deployer.privateKey });
  const devRoot = await createSimulatedRoot(data.file('unsafe-dev-tee'));
  const devSnpRoot = await createSimulatedSnpRoot(data.file('unsafe-dev-tee'));
  let deployedNow = 0;
  const deployed = await reporter.step(
    'contracts',
    'Contracts stand',
    () => deployContracts(deployer, rpcUrl, state, devRoot.root.key.publicKey, () => (deployedNow += 1)),
    () => (deployedNow === 0 ? 'all were there' : `${deployedNow} deployed`),
  );
  await setMoneyRules(deployer, rpcUrl, deployed, state);
  await reporter.step(
    'collateral',
    'The chain has the collateral that evidence is judged by, signed by the DEV root',
    () => publishDevCollateral(deployer, rpcUrl, deployed, devRoot),
    (gas) => (gas === 0n ? 'still current' : `published, ${gas} gas`),
  );
  const trusted = { tdx: devRoot.trustRoot, snp: devSnpRoot.trustRoot };
  const link = await startSecondChain(parts);
  const bridges = link && [link];
  // What the founders start from: the network's keys are not made yet.
  const genesisFile = networkFileOf(deployed, rpcUrl, gatewayUrl, trusted, null, bridges);
  await writeJson(data.file('network.genesis.json'), genesisFile);

  const gateway = reporter.step(
    'gateway',
    'Gateway relays',
    () =>
      launchNode(parts, 'gateway', 'apps/gateway/src/main.ts', {
        listen: { host: '127.0.0.1', port: state.ports.gateway },
        publicUrl: gatewayUrl,
        payTo: state.accounts.gateway.address,
        dataDir: data.file('gateway'),
        networkFile: data.file('network.genesis.json'),
      }),
    () => gatewayUrl,
  );
  gateway.catch(() => {});
  const [worker, gatekeeper] = await reporter.step(
    'image',
    'Images of worker and gatekeeper measured',
    () =>
      Promise.all(
        ['apps/worker', 'apps/gatekeeper'].map(async (program) =>
          measureImage(await processFiles(root, program), signal),
        ),
      ),
    (images) => images.map(({ imageId }) => imageId.slice(0, 10)).join(', '),
  );
  const [imageId, gatekeeperImageId] = [(worker as MeasuredImage).imageId, (gatekeeper as MeasuredImage).imageId];
  const snpImageId = simulatedSnpImageId(worker as MeasuredImage);
  if (state.gatekeeperImageId !== null && state.gatekeeperImageId !== gatekeeperImageId)
    throw new DevnetError('DEVNET_OTHER_GATEKEEPERS');
  const operators = state.accounts.gatekeepers.map(({ address }) => address);
  await reporter.step('committee-rules', 'The timelock names the gatekeepers, and allows their image', () =>
    setCommitteeRules(deployer, rpcUrl, deployed, genesisFile, gatekeeperImageId, operators),
  );
  const keys = await reporter.step(
    'committee',
    data.state === undefined
      ? `${operators.length} gatekeepers verified each other and made the network's keys; none of them holds one`
      : `${operators.length} gatekeepers hold the network's keys as shares`,
    async () => {
      await startGatekeepers(parts);
      return waitForKeys(rpcUrl, deployed, signal);
    },
    () => `any ${committeeThreshold} of them use a key together`,
  );
  const network = networkFileOf(deployed, rpcUrl, gatewayUrl, trusted, keys, bridges);
  await writeJson(data.file('network.json'), network);
  if (link !== undefined) await deployLink(parts, network, link);
  await reporter.step('rules', 'The timelock allows this worker image, this network file and these keys', () =>
    setWorkerRules(deployer, rpcUrl, deployed, network, {
      now: [imageId, snpImageId],
      before: [state.imageId, state.snpImageId ?? null].filter((id) => id !== null),
    }),
  );
  await gateway;
  return { network, imageId, snpImageId, gatekeeperImageId };
}

async function startGatekeepers(parts: Parts): Promise<void> {
  const { root, data, state } = parts;
  await mkdir(data.file('gatekeepers'), { recursive: true, mode: 0o700 });
  await Promise.all(
    state.accounts.gatekeepers.map(async ({ privateKey }, index) => {
      const operatorKeyFile = data.file('gatekeepers', `operator-${index}.key`);
      await writeFileAtomic(operatorKeyFile, `${privateKey}\n`, { mode: 0o600 });
      return launchNode(parts, `gatekeeper-${index}`, 'apps/gatekeeper/src/main.ts', {
        networkFile: data.file('network.genesis.json'),
        operatorKeyFile,
        dataDir: data.file('gatekeepers', `data-${index}`),
        device: 'unsafe-simulated-tdx',
        unsafeSimulated: { rootDir: data.file('unsafe-dev-tee'), platform: `gatekeeper-${index}` },
        imageRoot: root,
        attemptSeconds: 20,
        challengesPerWorker: 4,
        challengeSteps: 500_000,
        tickMs: 500,
        commitMs: 3_000,
      });
    }),
  );
}

function writeJson(file: string, value: unknown): Promise<void> {
  return writeFileAtomic(file, `${JSON.stringify(value, null, 2)}\n`);
}

async function startWorkers(parts: Parts): Promise<void> {
  const { options, root, reporter, data, state } = parts;
  const title =
    options.workers === 1
      ? 'The worker is registered by its evidence'
      : `${options.workers} workers are registered by their evidence`;
  await mkdir(data.file('workers'), { recursive: true, mode: 0o700 });
  const start = async (index: number): Promise<Record<string, unknown>> => {
    const operatorKeyFile = data.file('workers', `operator-${index}.key`);
    await writeFileAtomic(operatorKeyFile, `${state.accounts.operators[index]?.privateKey}\n`, { mode: 0o600 });
    return launchNode(parts, `worker-${index}`, 'apps/worker/src/main.ts', {
      networkFile: data.file('network.json'),
      operatorKeyFile,
      index: 0,
      runDir: data.file('workers', `run-${index}`),
      dataDir: data.file('workers', `data-${index}`),
      // A tenth of a PHA: so that collecting is seen here.
      payments: { collectAtLeast: '100000000000000000', anchorSeconds: 60, watchSeconds: 5 },
      device: 'unsafe-simulated-tdx',
      unsafeSimulated: { rootDir: data.file('unsafe-dev-tee'), platform: `platform-${index}` },
      imageRoot: root,
      // Of three workers on one machine, each with the challenge app besides; and what gVisor's trial takes, each would take at once.
      pooledSandboxes: 1,
      gvisor: 'off',
    });
  };
  await reporter.step(
    'workers',
    title,
    () => Promise.all(Array.from({ length: options.workers }, (_, index) => start(index))),
    (ready) => ready.map(({ workerId }) => String(workerId).slice(0, 10)).join(', '),
  );
}

/** One of our own programs, with its configuration in a file beside its log. */
async function launchNode(
  parts: Parts,
  name: string,
  script: string,
  config: object,
): Promise<Record<string, unknown>> {
  const { data, root, launch } = parts;
  const configFile = data.file('logs', `${name}.json`);
  await writeFileAtomic(configFile, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 });
  return launch({
    name,
    command: process.execPath,
    args: [...nodeArguments(root), path.join(root, script), '--config', configFile, '--parent-stdin'],
    logFile: data.file('logs', `${name}.log`),
    cwd: root,
    ready: readyLine,
  });
}

/** How Node.js is started for a part of a network that shares one machine with all its other parts. */
function nodeArguments(root: string): readonly string[] {
  return [
    // A simulated TEE protects nothing: what is kept of an earlier start may be used.
    '--import',
    pathToFileURL(path.join(root, 'scripts', 'toolchain', 'compileCache.mjs')).href,
    // MB. Left alone, a gatekeeper's young objects take up to 134 MB, most of it empty, and it is no faster for it.
    '--max-semi-space-size=8',
  ];
}

async function firstState(data: DataFolder, { epochSeconds, secondChain }: DevnetOptions): Promise<DevnetState> {
  const state: DevnetState = {
    dataVersion,
    contractsHash,
    genesis: Math.floor(Date.now() / 1000),
    epochSeconds,
    ports: { rpc: await freePort(), gateway: await freePort() },
    accounts: newAccounts(),
    ...(secondChain && { bridge: await newBridge() }),
    imageId: null,
    gatekeeperImageId: null,
  };
  await data.save(state);
  return state;
}

const reasons = {
  DEVNET_OTHER_GATEKEEPERS:
    "The gatekeepers' code has changed since this network was made: what they sealed opens for the old code alone",
  DEVNET_ONE_CHAIN: 'This network was made with one chain, and its gatekeepers know of no other',
} as const;

export class DevnetError extends CloisterError<keyof typeof reasons> {
  override readonly name = 'DevnetError';
  constructor(code: DevnetError['code']) {
    super({ code, message: reasons[code], hint: 'Start with --reset, or with another --data DIR' });
  }
}
