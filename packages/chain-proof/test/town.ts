import {
  appRegistryAbi,
  ChainAccount,
  collateralStoreAbi,
  depositBondAbi,
  emissionAbi,
  epochRecordsAbi,
  epochRewardsAbi,
  gatekeeperCommitteeAbi,
  imageRegistryAbi,
  pckRegistryAbi,
  phaTokenAbi,
  platformAssuranceAbi,
  sgxVerifierAbi,
  slashingAbi,
  stakePoolsAbi,
  tdxVerifierAbi,
  timelockControllerAbi,
  workerBondsAbi,
  workerRegistryAbi,
} from '@cloister/chain';
import { type DeployedNetwork, deployUnsafeSimulatedNetwork } from '@cloister/chain/unsafe-simulated';
import { type Address, appId, enforcedFields, functionManifest, type Hex, manifestId, workerId } from '@cloister/core';
import type { Abi } from 'viem';
import { generatePrivateKey } from 'viem/accounts';
import { type RunningAnvil, rpc, startAnvil } from './anvil.ts';

export const chainId = 31337;
export const salt: Hex = `0x${'51'.repeat(32)}`;
export const manifest = functionManifest({ name: 'sample', code: { sha256: `0x${'cc'.repeat(32)}`, bytes: 10 } });

/** The contracts of a network on a real node, with an enrolled worker and an app. */
export type Town = {
  readonly anvil: RunningAnvil;
  readonly deployed: DeployedNetwork;
  readonly account: ChainAccount;
  /** Of that account. */
  readonly key: Hex;
  readonly app: Hex;
  readonly workerId: Hex;
  readonly contracts: readonly { readonly address: Address; readonly abi: Abi }[];
};

/** `genesis`: unix seconds of epoch 0. `supply`: of the account's PHA, all there is. */
export async function startTown(genesis = 1_700_000_000n, supply = 10n ** 20n): Promise<Town> {
  const anvil = await startAnvil();
  try {
    return await build(anvil, genesis, supply);
  } catch (error) {
    await anvil.stop();
    throw error;
  }
}

async function build(anvil: RunningAnvil, genesis: bigint, supply: bigint): Promise<Town> {
  const key = generatePrivateKey();
  const account = new ChainAccount({ chainId, rpc: anvil.url, account: key });
  await rpc(anvil.url, 'anvil_setBalance', [account.address, '0xffffffffffffffffffff']);
  const deployed = await deployUnsafeSimulatedNetwork(account, anvil.url, {
    chainId,
    timelockDelaySeconds: 0n,
    proposer: account.address,
    allocation: [{ holder: account.address, amount: supply }],
    genesis,
    epochLengthSeconds: 600,
    roundLengthSeconds: 30,
    maxAttestedBlockAge: 256,
    bondWithdrawalDelaySeconds: 600n,
    paymentsWithdrawalDelaySeconds: 900n,
    feeShares: { gateway: 500, gatekeepers: 300, treasury: 200 },
    staking: {
      unbondingSeconds: 600,
      maxPauseSeconds: 600,
      detectionWindowSeconds: 200,
      proofWindowSeconds: 200,
      vetoWindowSeconds: 200,
      reporterBps: 1_000,
      bondFactor: 1n,
      minimumBond: 1n,
    },
    storagePrice: 1n,
    governance: { daySeconds: 60, proposalThreshold: 10n ** 21n },
    // The generator of P-256: the root signs nothing here.
    simulatedRoot: {
      x: 0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296n,
      y: 0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5n,
    },
  });
  const workers = { address: deployed.workerRegistry, abi: workerRegistryAbi };
  await account.write({ ...workers, functionName: 'enroll', args: [] });
  const apps = { address: deployed.appRegistry, abi: appRegistryAbi };
  await account.write({
    ...apps,
    functionName: 'create',
    args: [salt, manifestId(manifest), enforcedFields(manifest)],
  });
  const app = appId(account.address, salt);
  const worker = workerId(chainId, deployed.workerRegistry, account.address, 0n);
  const contracts = [
    { address: deployed.workerRegistry, abi: workerRegistryAbi },
    { address: deployed.appRegistry, abi: appRegistryAbi },
    { address: deployed.imageRegistry, abi: imageRegistryAbi },
    { address: deployed.gatekeeperImageRegistry, abi: imageRegistryAbi },
    { address: deployed.gatekeeperCommittee, abi: gatekeeperCommitteeAbi },
    { address: deployed.collateralStore, abi: collateralStoreAbi },
    { address: deployed.pckRegistry, abi: pckRegistryAbi },
    { address: deployed.tdxVerifier, abi: tdxVerifierAbi },
    { address: deployed.sgxVerifier, abi: sgxVerifierAbi },
    { address: deployed.platformAssurance, abi: platformAssuranceAbi },
    { address: deployed.depositBond, abi: depositBondAbi },
    { address: deployed.phaToken, abi: phaTokenAbi },
    { address: deployed.timelock, abi: timelockControllerAbi },
    { address: deployed.epochRecords, abi: epochRecordsAbi },
    { address: deployed.emission, abi: emissionAbi },
    { address: deployed.epochRewards, abi: epochRewardsAbi },
    { address: deployed.stakePools, abi: stakePoolsAbi },
    { address: deployed.workerBonds, abi: workerBondsAbi },
    { address: deployed.slashing, abi: slashingAbi },
  ] as const;
  return { anvil, deployed, account, key, app, workerId: worker, contracts };
}
