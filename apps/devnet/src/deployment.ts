import { collateralSubmissions } from '@cloister/attestation/onchain';
import { mintCollateral, type SimulatedRoot } from '@cloister/attestation/unsafe-simulated';
import type { TrustRoot } from '@cloister/attestation/verify';
import {
  allowConfigCall,
  allowImageCall,
  type ChainAccount,
  ChainView,
  CommitteeReader,
  collateralStoreAbi,
  EpochRecordsReader,
  emissionAbi,
  type GovernedCall,
  publishCollateral,
  RegistryReader,
  revokeImageCall,
  setBondRuleCall,
  setChallengeAppCall,
  setEligibleCall,
  setNetworkKeysHashCall,
  setTeePolicyCall,
  setThresholdCall,
  stakePoolsAbi,
  wireMoneyCalls,
} from '@cloister/chain';
import { type DeployedNetwork, deployUnsafeSimulatedNetwork } from '@cloister/chain/unsafe-simulated';
import {
  type Address,
  challengeAppSource,
  type Hex,
  type NetworkFile,
  networkFileId,
  networkKeysHash,
  parseNetworkFile,
  sleep,
  teeTypes,
  zeroBytes32,
} from '@cloister/core';
import { toHex, utf8 } from '@cloister/crypto';
import { createClient } from '@cloister/sdk';
import { createTestClient, encodeFunctionData, http, parseEther } from 'viem';
import { committeeThreshold, type DevnetState, everyAccount } from './dataFolder.ts';
import { governHere, isGoverned } from './governance.ts';
import { chainId, roundSeconds } from './options.ts';

/** Play money for the chain's fees. */
export async function fundAccounts(rpc: string, { accounts, bridge }: DevnetState): Promise<void> {
  const client = createTestClient({ mode: 'anvil', transport: http(rpc) });
  const ofBridge = bridge === undefined ? [] : [bridge.homeDeployer, bridge.remoteDeployer, bridge.carrier];
  for (const { address } of [...everyAccount(accounts), ...ofBridge])
    await client.setBalance({ address, value: parseEther('1000') });
}

/** Deploys the network's contracts where they don't stand yet. `rootKey`: the DEV root's P-256 key, x ‖ y. */
export function deployContracts(
  deployer: ChainAccount,
  rpc: string,
  state: DevnetState,
  rootKey: Uint8Array,
  onDeployed: () => void,
): Promise<DeployedNetwork> {
  return deployUnsafeSimulatedNetwork(
    deployer,
    rpc,
    {
      chainId,
      timelockDelaySeconds: 0n,
      proposer: deployer.address,
      allocation: genesisAllocation(state),
      genesis: BigInt(state.genesis),
      epochLengthSeconds: state.epochSeconds,
      roundLengthSeconds: roundSeconds,
      maxAttestedBlockAge: 256,
      bondWithdrawalDelaySeconds: 600n,
      paymentsWithdrawalDelaySeconds: 900n,
      // What docs/economics.md chooses.
      feeShares: { gateway: 1_000, gatekeepers: 300, treasury: 500 },
      storagePrice: parseEther('0.01'),
      // Days of a real network are minutes here.
      staking: {
        unbondingSeconds: 600,
        maxPauseSeconds: 600,
        detectionWindowSeconds: 240,
        proofWindowSeconds: 120,
        vetoWindowSeconds: 240,
        reporterBps: 1_000,
        // A machine of today does some 300 million steps a second: some 350 PHA.
        bondFactor: parseEther('0.02'),
        minimumBond: parseEther('100'),
      },
      // What docs/governance.md chooses, but for the threshold: of a tenth, so that more than one account here can propose.
      governance: { daySeconds: 60, proposalThreshold: parseEther('10000') },
      simulatedRoot: { x: BigInt(toHex(rootKey.subarray(0, 32))), y: BigInt(toHex(rootKey.subarray(32, 64))) },
    },
    onDeployed,
  );
}

/** Play money: for the developer's calls, and for the operators' stakes. */
function genesisAllocation({ accounts }: DevnetState): { readonly holder: Address; readonly amount: bigint }[] {
  return [
    { holder: accounts.deployer.address, amount: parseEther('1000000') },
    { holder: accounts.developer.address, amount: parseEther('100000') },
    ...[...accounts.operators, ...accounts.gatekeepers].map(({ address }) => ({
      holder: address,
      amount: parseEther('10000'),
    })),
  ];
}

/** Lets the contracts of stake, loss and emission know each other, and splits the emission, where that is not done yet. */
export async function setMoneyRules(
  deployer: ChainAccount,
  rpc: string,
  deployed: DeployedNetwork,
  state: DevnetState,
): Promise<void> {
  const view = new ChainView({ chainId, rpcs: [rpc] });
  const bonds = { address: deployed.stakePools, abi: stakePoolsAbi, functionName: 'workerBonds' } as const;
  if ((await view.read({ ...bonds, args: [] })).toLowerCase() === deployed.workerBonds) return;
  const { timestamp } = await view.head();
  const next = timestamp < state.genesis ? 0n : (timestamp - BigInt(state.genesis)) / BigInt(state.epochSeconds) + 2n;
  // A split holds from an epoch on that has not begun: not the very next, which may begin before this is mined.
  const split = {
    treasury: deployed.timelock,
    treasuryBps: 1_500,
    gatekeepers: deployed.committeePurse,
    gatekeepersBps: 500,
  } as const;
  await governHere(deployer, rpc, deployed, [
    ...wireMoneyCalls(deployed),
    {
      target: deployed.emission,
      data: encodeFunctionData({ abi: emissionAbi, functionName: 'setSplit', args: [next, split] }),
    },
  ]);
}

/** The end of the collateral on the chain must be further away than this, or it is published anew. Seconds. */
const freshSeconds = 5 * 86_400;

/** Publishes the DEV root's collateral where none stands, or what stands ends soon. Answers the gas spent. */
export async function publishDevCollateral(
  account: ChainAccount,
  rpc: string,
  { collateralStore }: DeployedNetwork,
  root: SimulatedRoot,
): Promise<bigint> {
  const view = new ChainView({ chainId, rpcs: [rpc] });
  const [, endsAt] = await view.read({
    address: collateralStore,
    abi: collateralStoreAbi,
    functionName: 'rootCrl',
    args: [],
  });
  const { timestamp } = await view.head();
  if (endsAt > Number(timestamp) + freshSeconds) return 0n;
  // Dated back, as collateral of simulated devices is: whoever judges by the chain's clock is a little behind.
  const collateral = mintCollateral(root, { issuedAt: Number(timestamp) - 43_200, lifetimeSeconds: 30 * 86_400 });
  const published = await publishCollateral(account, collateralStore, collateralSubmissions(collateral));
  return published.reduce((sum, { gas }) => sum + (gas ?? 0n), 0n);
}

/** The roots of this folder's simulated TEEs. */
export type DevRoots = { readonly tdx: TrustRoot; readonly snp: TrustRoot };

/** The network file of this folder: the same at every start, since ports, contracts and root are. */
export function networkFileOf(
  deployed: DeployedNetwork,
  rpc: string,
  gateway: string,
  roots: DevRoots,
  networkKeys: NetworkFile['networkKeys'],
  bridges?: NetworkFile['bridges'],
): NetworkFile {
  return parseNetworkFile({
    format: 'cloister-network-1',
    name: 'devnet',
    chainId,
    contracts: {
      timelock: deployed.timelock,
      phaToken: deployed.phaToken,
      imageRegistry: deployed.imageRegistry,
      workerRegistry: deployed.workerRegistry,
      appRegistry: deployed.appRegistry,
      gatekeeperCommittee: deployed.gatekeeperCommittee,
      epochRecords: deployed.epochRecords,
      payments: deployed.payments,
      stakePools: deployed.stakePools,
      workerBonds: deployed.workerBonds,
      slashing: deployed.slashing,
      emission: deployed.emission,
      epochRewards: deployed.epochRewards,
      storageRent: deployed.storageRent,
      governor: deployed.governor,
    },
    rpcs: [rpc],
    gateways: [gateway],
    trustRoots: [
      { tee: 'tdx', spkiSha256: roots.tdx.spkiSha256, simulated: true, name: roots.tdx.name ?? 'DEV' },
      { tee: 'sev-snp', spkiSha256: roots.snp.spkiSha256, simulated: true, name: roots.snp.name ?? 'DEV' },
    ],
    networkKeys,
    ...(bridges && { bridges }),
    simulated: true,
  });
}

/** What evidence of a simulated TD must meet here, of workers and gatekeepers alike. */
const teePolicy = {
  leaseDurationSeconds: 3_600,
  acceptedTcbStatuses: ['UpToDate', 'SWHardeningNeeded'],
  minimumTcbEvaluationDataNumber: 0,
} as const;

/** The worker's images, one for each kind of simulated TEE, of this start and of an earlier one. */
type Images = { readonly now: readonly Hex[]; readonly before: readonly Hex[] };

/** Brings the rules for workers to what this start needs. The images of an earlier start are taken back if the worker has changed. */
export async function setWorkerRules(
  deployer: ChainAccount,
  rpc: string,
  deployed: DeployedNetwork,
  network: NetworkFile,
  images: Images,
): Promise<void> {
  const { imageRegistry, workerRegistry } = network.contracts;
  const registry = new RegistryReader(new ChainView({ chainId, rpcs: [rpc] }), network.contracts);
  const calls: GovernedCall[] = [];
  if ((await registry.teePolicy(teeTypes.tdx)) === undefined)
    calls.push(setTeePolicyCall(workerRegistry, teeTypes.tdx, { verifier: deployed.tdxVerifier, ...teePolicy }));
  if ((await registry.teePolicy(teeTypes['sev-snp'])) === undefined)
    calls.push(setTeePolicyCall(workerRegistry, teeTypes['sev-snp'], { verifier: deployed.snpVerifier, ...teePolicy }));
  for (const image of images.now)
    if (!(await registry.imageAllowed(image))) calls.push(allowImageCall(imageRegistry, image, 'devnet worker'));
  // What is decided together is taken back together: by a proposal.
  const before = (await isGoverned(rpc, network.contracts, deployer.address)) ? [] : images.before;
  for (const image of before)
    if (!images.now.includes(image) && (await registry.imageAllowed(image)))
      calls.push(revokeImageCall(imageRegistry, image));
  const configId = networkFileId(network);
  if (!(await registry.configAllowed(configId))) calls.push(allowConfigCall(imageRegistry, configId));
  const keysHash = network.networkKeys === null ? undefined : networkKeysHash(network.networkKeys);
  if (keysHash !== undefined && (await registry.networkKeysHash()) !== keysHash)
    calls.push(setNetworkKeysHashCall(workerRegistry, keysHash));
  await governHere(deployer, rpc, network.contracts, calls);
}

/** The rules for gatekeepers: who may be one, of which image, with which network file, and how many make a signature. */
export async function setCommitteeRules(
  deployer: ChainAccount,
  rpc: string,
  deployed: DeployedNetwork,
  genesisFile: NetworkFile,
  imageId: Hex,
  operators: readonly Address[],
): Promise<void> {
  const { gatekeeperCommittee, gatekeeperImageRegistry, depositBond } = deployed;
  const view = new ChainView({ chainId, rpcs: [rpc] });
  const committee = new CommitteeReader(view, { gatekeeperCommittee });
  if ((await committee.teePolicy(teeTypes.tdx)) !== undefined) return;
  await governHere(deployer, rpc, deployed, [
    setTeePolicyCall(gatekeeperCommittee, teeTypes.tdx, { verifier: deployed.tdxVerifier, ...teePolicy }),
    allowImageCall(gatekeeperImageRegistry, imageId, 'devnet gatekeeper'),
    allowConfigCall(gatekeeperImageRegistry, networkFileId(genesisFile)),
    setBondRuleCall(gatekeeperCommittee, depositBond, 0n),
    setThresholdCall(gatekeeperCommittee, committeeThreshold),
    ...operators.map((operator) => setEligibleCall(gatekeeperCommittee, operator, true)),
  ]);
}

/** Waits until the committee has made the network's keys, and answers them once they are final. */
export async function waitForKeys(
  rpc: string,
  { gatekeeperCommittee }: DeployedNetwork,
  signal: AbortSignal,
): Promise<{ readonly apps: Hex; readonly beacon: Hex }> {
  const committee = new CommitteeReader(new ChainView({ chainId, rpcs: [rpc] }), { gatekeeperCommittee });
  for (;;) {
    const { number } = await committee.view.finalized(signal);
    const { keys } = await committee.status(number, signal);
    if (keys !== undefined) return keys;
    await sleep(200, signal);
  }
}

/** Deploys the app that gatekeepers measure workers by, and lets the timelock name it, where none is named yet. */
export async function nameChallengeApp(
  deployer: ChainAccount,
  deployerKey: Hex,
  rpc: string,
  network: NetworkFile,
  signal: AbortSignal,
): Promise<boolean> {
  const { epochRecords } = network.contracts;
  const records = new EpochRecordsReader(new ChainView({ chainId, rpcs: [rpc] }), network.contracts);
  if ((await records.challengeApp(undefined, signal)) !== zeroBytes32) return false;
  const { app } = await createClient({ network }).deploy({
    account: deployerKey,
    code: utf8(challengeAppSource),
    name: 'challenge',
    signal,
  });
  await governHere(deployer, rpc, network.contracts, [setChallengeAppCall(epochRecords, app)]);
  return true;
}
